import { randomUUID } from 'node:crypto';
import { parseJson } from '../../json.ts';
import type { CallResult } from '../../tools/call.ts';
import type { ToolOrigin } from '../../tools/tool.ts';

/** The output items of the Responses API that are told here. */
export type OutputItem = TextItem | CallItem;

type Status = 'in_progress' | 'completed' | 'incomplete';

/** What is said, or thought. */
export interface TextItem {
  type: 'message' | 'reasoning';
  id: string;
  status: Status;
  role?: 'assistant';
  summary?: never[];
  content: [TextPart];
}

interface TextPart {
  type: 'output_text' | 'reasoning_text';
  text: string;
  annotations?: never[];
  logprobs?: never[];
}

export type CallItem = FunctionCallItem | RunItem;
/** A call that is run here. */
export type RunItem = McpCallItem | CodeItem;

interface Call {
  name: string;
  /** As JSON. */
  arguments: string;
}

interface FunctionCallItem extends Call {
  type: 'function_call';
  id: string;
  status: Status;
  call_id: string;
}

interface McpCallItem extends Call {
  type: 'mcp_call';
  id: string;
  status: Status | 'failed';
  server_label: string;
  output: string | null;
  error: string | null;
  approval_request_id: null;
}

interface CodeItem {
  type: 'code_interpreter_call';
  id: string;
  status: Status | 'failed';
  container_id: string;
  code: string;
  outputs: { type: 'logs'; logs: string }[] | null;
}

export function newId(kind: string): string {
  return `${kind}_${randomUUID().replaceAll('-', '')}`;
}

export function textItem(type: TextItem['type']): TextItem {
  const [status, text] = ['in_progress' as const, ''];
  if (type === 'reasoning') {
    return { type, id: newId('rs'), status, summary: [], content: [{ type: 'reasoning_text', text }] };
  }
  const part: TextPart = { type: 'output_text', text, annotations: [], logprobs: [] };
  return { type, id: newId('msg'), status, role: 'assistant', content: [part] };
}

/** The label under which functions of the server itself are told, which are called as those of MCP servers are. */
const ownLabel = 'sod';

/**
 * A call as the model has written it.
 * @param place whose tool it is: the client's, or one that runs here; undefined for a function of this program, or no tool at all
 * @param container of the code that the response runs
 */
export function callItem(call: Call, place: 'client' | ToolOrigin | undefined, container: string): CallItem {
  const status = 'in_progress';
  if (place === 'client') return { type: 'function_call', id: newId('fc'), status, call_id: newId('call'), ...call };
  const code = place?.kind === 'code' ? codeOf(call.arguments, place.argument) : undefined;
  if (code !== undefined) {
    return { type: 'code_interpreter_call', id: newId('ci'), status, container_id: container, code, outputs: null };
  }
  return mcpCall(call, place?.kind === 'mcp' ? place.server : ownLabel);
}

/** The code that a call's arguments are; undefined where they are anything else, or more. */
function codeOf(values: string, argument: string): string | undefined {
  const given = parseJson(values) as Record<string, unknown>;
  const code = given[argument];
  return typeof code === 'string' && Object.keys(given).length === 1 ? code : undefined;
}

/** A call that could not be read, and so has no name. */
export function unreadCall(name: string): RunItem {
  return mcpCall({ name, arguments: '{}' }, ownLabel);
}

function mcpCall(call: Call, server_label: string): McpCallItem {
  const none = { output: null, error: null, approval_request_id: null };
  return { type: 'mcp_call', id: newId('mcp'), status: 'in_progress', server_label, ...call, ...none };
}

/** What came of a call that was run here. */
export function settle(item: RunItem, { observation, error }: CallResult): void {
  item.status = error ? 'failed' : 'completed';
  if (item.type === 'code_interpreter_call') item.outputs = [{ type: 'logs', logs: observation }];
  else if (error) item.error = observation;
  else item.output = observation;
}
