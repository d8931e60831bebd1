import { UserError } from '../errors.ts';
import type { Grammar, Sequence, Term } from '../grammar/grammar.ts';
import { SchemaRules } from '../grammar/jsonSchema.ts';
import { Recognizer } from '../grammar/recognizer.ts';
import type { TailFormat } from '../text/callFormat.ts';
import { SPEAK, THINK, type ThoughtStart } from '../text/thought.ts';
import type { Vocabulary } from '../text/vocabulary.ts';
import { badRequest } from './apiError.ts';
import type { RequestTool, SamplingFields } from './requests.ts';

export interface OutputDemands {
  format: NonNullable<SamplingFields['response_format']>;
  /** What the request calls it, for errors. Default: as chats and completions do. */
  formatName?: string;
  /** What may be called. Default: nothing. */
  tools?: RequestTool[];
  /** Whether a call has to come, and nothing else. */
  demand?: boolean;
  /** One call at most. */
  single?: boolean;
  /** Whether a thought may come first, or the prompt has begun one. */
  thought?: ThoughtStart;
  /** How calls are written, where not in the Hermes format. */
  callFormat?: TailFormat;
  vocabulary: Vocabulary;
}

/**
 * What an answer may spell; undefined: anything. Calls where one is demanded; the JSON of `format`, or calls instead of it.
 * Throws ApiError 400 where a schema is not supported, or too large.
 */
export function outputGrammar(demands: OutputDemands): Grammar | undefined {
  const { format, tools = [], demand = false, thought, vocabulary } = demands;
  const isJson = format.type !== 'text' && !demand;
  if (!isJson && !demand) return undefined;
  const rules = new SchemaRules();
  // Compiled here, what is too large, or fits no text, is refused before anything is sampled.
  const compiled = (param: string, make: () => Sequence) =>
    checked(param, () => {
      const answer = make();
      new Recognizer({ rules: { ...rules.rules, root: [answer] } });
      return answer;
    });
  const answers = [
    ...(isJson ? [compiled(demands.formatName ?? formatParam(format), () => [formatValue(rules, format)])] : []),
    ...(tools.length > 0 ? [compiled('tools', () => calls(rules, demands))] : []),
  ];
  const before = thought ? thoughtBefore(thought, vocabulary) : [];
  return { rules: { ...rules.rules, root: [[...before, { rule: 'answer' }]], answer: answers } };
}

function formatParam({ type }: OutputDemands['format']): string {
  return type === 'json_schema' ? 'response_format.json_schema.schema' : 'response_format';
}

function formatValue(rules: SchemaRules, format: OutputDemands['format']): Term {
  if (format.type === 'json_schema') return rules.add(format.json_schema.schema, 'schema');
  if (format.type === 'json_object' && format.schema) return rules.add(objectSchema(format.schema), 'schema');
  return { rule: 'object' };
}

/** One call, or several in a row. */
function calls(rules: SchemaRules, { tools = [], single, vocabulary, callFormat }: OutputDemands): Sequence {
  const { open, before, after, close, between } = callFormat ? tailParts(callFormat) : hermesParts(vocabulary);
  rules.rules.call = tools.map(({ function: { name, parameters } }): Sequence => {
    const values = rules.add(objectSchema(parameters), `${name}.parameters`);
    return [{ text: before(name) }, values, { text: after }];
  });
  const call: Sequence = [...open, { rule: 'call' }, ...close];
  return [...call, ...(single ? [] : [{ repeat: [{ text: between } as Term, ...call], min: 0, max: null }])];
}

/** What is around calls, around their arguments, and between calls. */
interface CallParts extends NonNullable<TailFormat['around']> {
  open: Sequence;
  close: Sequence;
}

/** @throws UserError where arguments are no JSON */
function tailParts({ around }: TailFormat): CallParts {
  if (!around) {
    throw new UserError(
      'this model writes calls in Python\'s form, which cannot be demanded; take tool_choice "auto" and no response_format',
    );
  }
  return { open: [], close: [], ...around };
}

/** @throws UserError where the markers are no tokens */
function hermesParts(vocabulary: Vocabulary): CallParts {
  const [open, close] = ['<tool_call>', '</tool_call>'].map(marker => vocabulary.controlId(marker));
  if (open === undefined || close === undefined) {
    throw new UserError('this model has no control tokens for calls; take tool_choice "auto" and no response_format');
  }
  return {
    open: [{ token: open }, { text: '\n' }],
    before: name => `{"name": ${JSON.stringify(name)}, "arguments": `,
    after: '}',
    close: [{ text: '\n' }, { token: close }],
    between: '\n',
  };
}

/** Any text, then the token that closes it and the line breaks that models put behind it. */
function thoughtBefore(thought: ThoughtStart, vocabulary: Vocabulary): Sequence {
  const [open, close] = [THINK, SPEAK].map(marker => ({ token: vocabulary.controlId(marker)! }));
  const text: Term = { repeat: [{ bytes: [[0, 255]] }], min: 0, max: null };
  const rest: Sequence = [text, close, { repeat: [{ text: '\n' }], min: 0, max: 2 }];
  return thought === 'begun' ? rest : [{ repeat: [open, ...rest], min: 0, max: 1 }];
}

/** Arguments are always an object, whatever a tool says of itself. */
function objectSchema(parameters: Record<string, unknown> | null | undefined): Record<string, unknown> {
  if (!parameters || Object.keys(parameters).length === 0) return { type: 'object', additionalProperties: false };
  return parameters.type === undefined && !parameters.$ref && !parameters.anyOf
    ? { type: 'object', ...parameters }
    : parameters;
}

function checked<T>(param: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof UserError) throw badRequest(`${param}: ${error.message}`, param);
    throw error;
  }
}
