import { escapeControls, isObject, parseJson, pythonJson } from '../json.ts';
import type { ToolCall } from './message.ts';

/** A call in the Hermes format, without its `<tool_call>` markers; spaced as Python's json.dumps, like templates do. */
export function formatToolCall(call: ToolCall): string {
  return `{"name": ${JSON.stringify(call.name)}, "arguments": ${pythonJson(call.arguments)}}`;
}

/**
 * The call that stands between markers, or what is wrong with it, for the model to read. Raw line breaks, tabs and the like in
 * its strings are taken for their escapes; nothing else is mended.
 */
export function parseToolCall(text: string): ToolCall | string {
  const call = parse(text);
  if (call instanceof SyntaxError) {
    return `invalid JSON in tool call: ${call.message}; one object {"name": …, "arguments": {…}} is wanted, and nothing else`;
  }
  if (!isObject(call)) return 'tool call is not a JSON object: {"name": …, "arguments": {…}} is wanted';
  if (typeof call.name !== 'string' || call.name === '') return 'tool call has no "name", or it is not a string';
  if (!Object.hasOwn(call, 'arguments')) return 'tool call has no "arguments"';
  const args = typeof call.arguments === 'string' ? parse(call.arguments) : call.arguments;
  if (args instanceof SyntaxError) return `invalid JSON in the "arguments" of the tool call: ${args.message}`;
  if (!isObject(args)) return '"arguments" of the tool call is not a JSON object';
  return { name: call.name, arguments: args };
}

function parse(json: string): unknown {
  try {
    return parseJson(escapeControls(json));
  } catch (error) {
    return error;
  }
}
