import { UserError } from '../errors.ts';
import type { Grammar, Sequence } from '../grammar/grammar.ts';
import { jsonObjectGrammar, jsonSchemaGrammar, SchemaRules } from '../grammar/jsonSchema.ts';
import { Recognizer } from '../grammar/recognizer.ts';
import type { Vocabulary } from '../text/vocabulary.ts';
import { badRequest } from './apiError.ts';
import type { ChatRequest, SamplingFields } from './requests.ts';

/** What `response_format` allows; undefined: anything. Throws ApiError 400 where a schema is not supported. */
export function formatGrammar(format: SamplingFields['response_format']): Grammar | undefined {
  if (!format || format.type === 'text') return undefined;
  if (format.type === 'json_object') return jsonObjectGrammar();
  return checked('response_format.json_schema.schema', () => jsonSchemaGrammar(format.json_schema.schema));
}

/**
 * What `tool_choice` demands: one call of a named function, or one call and more of any. Undefined where the model may choose.
 * Throws ApiError 400 where there is no such function or its parameters are a schema that is not supported.
 */
export function callGrammar(request: ChatRequest, vocabulary: Vocabulary): Grammar | undefined {
  const { tools, tool_choice: choice } = request;
  if (!choice || choice === 'auto' || choice === 'none') return undefined;
  if (!tools?.length) throw badRequest('tool_choice: asks for a call, but there are no tools', 'tool_choice');
  const wanted = typeof choice === 'string' ? tools : tools.filter(tool => tool.function.name === choice.function.name);
  if (wanted.length === 0) {
    const names = tools.map(tool => tool.function.name).join(', ');
    throw badRequest(`tool_choice.function.name: must be one of the tools: ${names}`, 'tool_choice');
  }
  const [open, close] = ['<tool_call>', '</tool_call>'].map(marker => vocabulary.controlId(marker));
  if (open === undefined || close === undefined) {
    throw badRequest('tool_choice: this model has no control tokens for calls; take "auto"', 'tool_choice');
  }
  return checked('tools', () => {
    const rules = new SchemaRules();
    const calls = wanted.map(({ function: { name, parameters } }): Sequence => {
      const values = rules.add(objectSchema(parameters), `${name}.parameters`);
      return [{ text: `{"name": ${JSON.stringify(name)}, "arguments": ` }, values, { text: '}' }];
    });
    const call: Sequence = [{ token: open }, { text: '\n' }, { rule: 'call' }, { text: '\n' }, { token: close }];
    const single = typeof choice !== 'string' || request.parallel_tool_calls === false;
    const more: Sequence = single ? [] : [{ repeat: [{ text: '\n' }, ...call], min: 0, max: null }];
    return { rules: { ...rules.rules, call: calls, root: [[...call, ...more]] } };
  });
}

/** Arguments are always an object, whatever a tool says of itself. */
function objectSchema(parameters: Record<string, unknown> | null | undefined): Record<string, unknown> {
  if (!parameters || Object.keys(parameters).length === 0) return { type: 'object', additionalProperties: false };
  return parameters.type === undefined && !parameters.$ref && !parameters.anyOf
    ? { type: 'object', ...parameters }
    : parameters;
}

function checked(param: string, make: () => Grammar): Grammar {
  try {
    const grammar = make();
    refuseEmpty(grammar);
    return grammar;
  } catch (error) {
    if (error instanceof UserError) throw badRequest(`${param}: ${error.message}`, param);
    throw error;
  }
}

/** A schema that only refers to itself describes no text at all. */
function refuseEmpty(grammar: Grammar): void {
  const { start } = new Recognizer(grammar);
  if (start.places.length === 0 && !start.accepts) throw new UserError('no value fits the schema');
}
