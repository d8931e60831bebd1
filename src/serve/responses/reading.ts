import { parseJson, plainNumbers, stringifyJson } from '../../json.ts';
import type { Message } from '../../text/message.ts';
import { badRequest } from '../apiError.ts';
import { choice } from '../chatReading.ts';
import { toolSchemas } from '../dialogue.ts';
import { type OutputDemands, outputGrammar } from '../outputGrammar.ts';
import type { PromptModel } from '../promptModel.ts';
import type { ChatRequest, RequestTool } from '../requests.ts';
import { refuseOtherName } from '../servedModel.ts';
import type { AgentOutline } from './agent.ts';
import { DialogueReader } from './dialogue.ts';
import { parseResponseRequest, type ResponseRequest } from './request.ts';

/** A dialogue as it goes from thread to thread and is kept: each message as JSON, in which numbers stay as they were written. */
export interface WrittenDialogue {
  messages: string[];
  /** Ids of the calls at its end that the client has still to answer. */
  pending: string[];
}

/** A request to answer, as it is sampled. */
export interface ResponseWork {
  request: Omit<ResponseRequest, 'input'>;
  prompt: number[];
  /** Names of the tools that are offered: those that run here, and the client's. */
  own: string[];
  ofClient: string[];
  thinking: boolean;
  /** What a turn may spell, as JSON: the first, in which a call may be demanded, and those behind it. */
  grammars: { first?: string; later?: string };
  /** Everything said so far but instructions. */
  messages: string[];
}

/** What is needed first: the dialogue of an earlier response. */
export interface Continued {
  previous: string;
  /** @throws ApiError where the request cannot be answered */
  after(before: WrittenDialogue): ResponseWork;
}

const noAgent: AgentOutline = { tools: [], origins: new Map(), messages: [] };
const names = { messages: 'input', thinking: 'reasoning.effort' };

/** @throws ApiError where the request cannot be answered */
export function readResponse(model: PromptModel, body: unknown): ResponseWork | Continued {
  const request = parseResponseRequest(body);
  refuseOtherName(model.names, request.model);
  const { previous_response_id: previous } = request;
  const after: Continued['after'] = before => workOf(model, request, before);
  return previous ? { previous, after } : after({ messages: [], pending: [] });
}

function workOf(model: PromptModel, { input, ...request }: ResponseRequest, before: WrittenDialogue): ResponseWork {
  const { tools: own, origins, messages: rules } = model.agent ?? noAgent;
  const ofClient = (request.tools ?? []).map(({ type, ...tool }): RequestTool => ({ type, function: tool }));
  refuseTwice(own, ofClient);
  const { tools, demand } = choice([...own, ...ofClient], chatChoice(request.tool_choice));

  const past = { messages: before.messages.map(parseMessage), pending: before.pending };
  const messages = new DialogueReader(past, origins).read(input);
  const dialogue = [...instructions(request.instructions, messages, rules), ...messages];
  const thinking = (request.reasoning?.effort ?? 'none') !== 'none';
  const { prompt, thought, callFormat } = model.dialogue(dialogue, toolSchemas(tools), thinking, names);

  const demands: OutputDemands = {
    tools,
    format: chatFormat(request.text?.format),
    formatName: 'text.format',
    single: typeof request.tool_choice === 'object' || request.parallel_tool_calls === false,
    thought,
    callFormat,
    vocabulary: model.vocabulary,
  };
  const later = written(outputGrammar(demands));
  const isOffered = ({ function: { name } }: RequestTool) => tools.some(tool => tool.function.name === name);
  return {
    request: { ...request, tools: plainNumbers(request.tools), text: plainNumbers(request.text) },
    prompt,
    own: own.filter(isOffered).map(nameOf),
    ofClient: ofClient.filter(isOffered).map(nameOf),
    thinking,
    grammars: { first: demand ? written(outputGrammar({ ...demands, demand })) : later, later },
    messages: messages.map(message => stringifyJson(message)),
  };
}

const nameOf = (tool: RequestTool) => tool.function.name;
const parseMessage = (json: string) => parseJson(json) as Message;
const written = (grammar: object | undefined) => grammar && JSON.stringify(grammar);

function refuseTwice(own: readonly RequestTool[], ofClient: readonly RequestTool[]): void {
  const twice = ofClient.findIndex(tool => own.some(other => nameOf(other) === nameOf(tool)));
  if (twice < 0) return;
  const param = `tools.${twice}.name`;
  throw badRequest(`${param}: this server has a tool ${JSON.stringify(nameOf(ofClient[twice]))} itself`, param);
}

/** What stands before the dialogue: the request's instructions, or those of the agent where the dialogue begins with none. */
function instructions(
  own: string | null | undefined,
  messages: readonly Message[],
  rules: readonly Message[],
): Message[] {
  if (own != null) return [{ role: 'system', content: own }];
  return messages[0]?.role === 'system' ? [] : [...rules];
}

/** As chats have it. */
function chatChoice(asked: ResponseRequest['tool_choice']): NonNullable<ChatRequest['tool_choice']> {
  if (typeof asked === 'string' || asked == null) return asked ?? 'auto';
  if (asked.type === 'function') return { type: 'function', function: { name: asked.name } };
  const tools = asked.tools.map(({ type, name }) => ({ type, function: { name } }));
  return { type: 'allowed_tools', allowed_tools: { mode: asked.mode, tools } };
}

/** As chats have it. */
function chatFormat(asked: NonNullable<ResponseRequest['text']>['format']): OutputDemands['format'] {
  if (!asked) return { type: 'text' };
  if (asked.type !== 'json_schema') return asked;
  const { type, ...json_schema } = asked;
  return { type, json_schema };
}
