import { UserError } from '../errors.ts';
import { parsePythonLiteral } from '../pythonLiteral.ts';
import type { ToolCall } from './message.ts';

/** Calls as a list of Python's: `[f(x=1, y='a'), g()]`. */

const identifier = /^[A-Za-z_][\w.-]*$/;

/** @throws UserError where a name of an argument is none of Python's. */
export function formatPythonicCalls(calls: readonly ToolCall[]): string {
  return `[${calls.map(({ name, arguments: args }) => `${name}(${Object.entries(args).map(argument).join(', ')})`).join(', ')}]`;
}

function argument([name, value]: [string, unknown]): string {
  if (identifier.test(name)) return `${name}=${written(value)}`;
  throw new UserError(`a call in Python's form has no place for an argument named ${JSON.stringify(name)}`);
}

function written(value: unknown): string {
  if (value === null) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (typeof value === 'string') return quoted(value);
  if (Array.isArray(value)) return `[${value.map(written).join(', ')}]`;
  if (value instanceof Number || typeof value === 'number') return String(value);
  const entries = Object.entries(value as object).map(([key, item]) => `${quoted(key)}: ${written(item)}`);
  return `{${entries.join(', ')}}`;
}

/** As Python shows a string: in single quotes, unless only they are in it. */
function quoted(text: string): string {
  const json = JSON.stringify(text).slice(1, -1);
  const plain = json.replaceAll('\\"', '"');
  return text.includes("'") && !text.includes('"') ? `"${json}"` : `'${plain.replaceAll("'", "\\'")}'`;
}

/** The calls of such a list; what is wrong with it, for the model to read; undefined where it is none. */
export function parsePythonicCalls(text: string): ToolCall[] | string | undefined {
  if (!/^\[\s*[A-Za-z_][\w.-]*\s*\(/.test(text)) return undefined;
  try {
    return (parsePythonLiteral(asLiteral(text)) as [string, Record<string, unknown>][]).map(([name, args]) => ({
      name,
      arguments: args,
    }));
  } catch (error) {
    const wanted = '[name(argument=value, …)], and nothing else, is wanted';
    return `invalid tool call: ${(error as Error).message}; ${wanted}`;
  }
}

/** Each place is read once: words from their beginning, and a string that does not end to the end of all. */
const parts =
  /(?<text>'(?:[^'\\]|\\[\s\S]?)*'?|"(?:[^"\\]|\\[\s\S]?)*"?)|(?<![\w.-])(?:(?<call>[A-Za-z_][\w.-]*)\s*\(|(?<name>[A-Za-z_][\w.-]*)\s*=)|[()]/g;

/** The same as a literal, with a call as `['f', {'x': 1}]`. */
function asLiteral(text: string): string {
  const open: string[] = [];
  return text.replace(parts, (part, ...more) => {
    const { text, call, name } = more.at(-1) as Record<string, string | undefined>;
    if (text) return part;
    if (name) return `'${name}': `;
    if (part === ')') return open.pop() ?? part;
    open.push(call ? '}]' : ')');
    return call ? `['${call}', {` : part;
  });
}
