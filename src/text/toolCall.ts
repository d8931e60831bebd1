import { escapeControls, isObject, parseJson, pythonJson } from '../json.ts';
import type { ToolCall } from './message.ts';

/** A call as JSON, spaced as Python's json.dumps, like templates do. */
export function formatToolCall(call: ToolCall, key: 'arguments' | 'parameters' = 'arguments'): string {
  return `{"name": ${JSON.stringify(call.name)}, "${key}": ${pythonJson(call.arguments)}}`;
}

/**
 * The call that a JSON object stands for, or what is wrong with it, for the model to read. Raw line breaks, tabs and the like in
 * its strings are taken for their escapes; nothing else is mended.
 * @param key under which the arguments are
 */
export function parseToolCall(text: string, key: 'arguments' | 'parameters' = 'arguments'): ToolCall | string {
  const call = parse(text);
  const wanted = `{"name": …, "${key}": {…}}`;
  if (call instanceof SyntaxError) {
    return `invalid JSON in tool call: ${call.message}; one object ${wanted} is wanted, and nothing else`;
  }
  if (!isObject(call)) return `tool call is not a JSON object: ${wanted} is wanted`;
  if (typeof call.name !== 'string' || call.name === '') return 'tool call has no "name", or it is not a string';
  if (!Object.hasOwn(call, key)) return `tool call has no "${key}"`;
  const stated = call[key];
  const args = typeof stated === 'string' ? parse(stated) : stated;
  if (args instanceof SyntaxError) return `invalid JSON in the "${key}" of the tool call: ${args.message}`;
  if (!isObject(args)) return `"${key}" of the tool call is not a JSON object`;
  return { name: call.name, arguments: args };
}

function parse(json: string): unknown {
  try {
    return parseJson(escapeControls(json));
  } catch (error) {
    return error;
  }
}
