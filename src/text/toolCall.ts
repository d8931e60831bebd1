import type { ToolCall } from './message.ts';

/** A call in the Hermes format, without its `<tool_call>` markers; spaced as Python's json.dumps, like templates do. */
export function formatToolCall(call: ToolCall): string {
  return `{"name": ${JSON.stringify(call.name)}, "arguments": ${pythonJson(call.arguments)}}`;
}

/**
 * Calls in sealed text between the sealed markers `open` and `close`, and what is wrong with the first one that is not
 * well-formed. `unseal` makes plain text of what stands between them.
 */
export function parseToolCalls(
  sealed: string,
  open: string,
  close: string,
  unseal: (sealed: string) => string,
): { calls: ToolCall[]; error?: string } {
  const calls: ToolCall[] = [];
  let error: string | undefined;
  for (const block of sealed.split(open).slice(1)) {
    const end = block.indexOf(close);
    const result =
      end < 0 ? 'tool call is not closed: </tool_call> is missing' : parseToolCall(unseal(block.slice(0, end)).trim());
    if (typeof result === 'string') error ??= result;
    else calls.push(result);
  }
  return error === undefined ? { calls } : { calls, error };
}

/** The call, or what is wrong with it. */
export function parseToolCall(json: string): ToolCall | string {
  let call: unknown;
  try {
    call = JSON.parse(json);
  } catch (error) {
    return `invalid JSON in tool call: ${(error as Error).message}`;
  }
  if (!isObject(call)) return 'tool call is not a JSON object: {"name": …, "arguments": {…}} is wanted';
  if (typeof call.name !== 'string' || call.name === '') return 'tool call has no "name", or it is not a string';
  if (!Object.hasOwn(call, 'arguments')) return 'tool call has no "arguments"';
  let args = call.arguments;
  if (typeof args === 'string') {
    try {
      args = JSON.parse(args);
    } catch (error) {
      return `invalid JSON in the "arguments" of the tool call: ${(error as Error).message}`;
    }
  }
  if (!isObject(args)) return '"arguments" of the tool call is not a JSON object';
  return { name: call.name, arguments: args };
}

function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`;
  if (!isObject(value)) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}: ${pythonJson(item)}`).join(', ')}}`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
