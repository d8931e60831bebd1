import { isObject } from '../../json.ts';
import { ToolError, type ToolErrorKind } from '../../tools/tool.ts';

/** An observation as a model reads it: the text of its only field, else its fields as JSON; without any, its metadata. */
export function observationText({ metadata, ...fields }: Record<string, unknown>): string {
  const told = Object.entries(fields).filter(([, value]) => value !== null && value !== undefined);
  if (told.length === 0) return isObject(metadata) && Object.keys(metadata).length > 0 ? JSON.stringify(metadata) : '';
  const [[, only]] = told;
  return told.length === 1 && typeof only === 'string' ? only : JSON.stringify(Object.fromEntries(told));
}

const kinds: Record<string, ToolErrorKind> = {
  invalid_args: 'invalid_arguments',
  tool_not_found: 'unknown_tool',
  timeout: 'timeout',
};

/** What a step that called a tool gives. @throws ToolError where the call failed */
export function toolObservation({ result, error, ...rest }: Record<string, unknown>): string {
  if (isObject(error)) throw new ToolError(kinds[String(error.error_type)] ?? 'exception', `Error: ${error.message}`);
  return result === undefined ? observationText(rest) : resultText(result);
}

/** The texts of a result of MCP, a line each, in its spelling or in Python's. @throws ToolError where it says that the tool failed */
export function resultText(result: unknown): string {
  if (typeof result === 'string') return result;
  if (!isObject(result) || !Array.isArray(result.content)) return JSON.stringify(result);
  const texts = result.content.map(block =>
    isObject(block) && typeof block.text === 'string' ? block.text : leftOut(block),
  );
  const text =
    texts.length > 0 ? texts.join('\n') : JSON.stringify(result.structuredContent ?? result.structured_content ?? null);
  if (!(result.isError || result.is_error)) return text;
  throw new ToolError('exception', /^error\b/i.test(text) ? text : `Error: ${text}`);
}

function leftOut(block: unknown): string {
  return `[left out: ${isObject(block) ? block.type : typeof block}]`;
}
