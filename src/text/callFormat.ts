import { escapeControls } from '../json.ts';
import type { Message, ToolCall } from './message.ts';
import { formatPythonicCalls, parsePythonicCalls } from './pythonicCall.ts';
import type { ChatTemplate } from './template.ts';
import { formatToolCall, parseToolCall } from './toolCall.ts';

/** How a turn writes calls that it ends with, and that no markers enclose. */
export interface TailFormat {
  /** What is around a call's arguments, where they are JSON, and between calls: what a call that is demanded is made of. */
  around?: { before: (name: string) => string; after: string; between: string };
  /** How a line begins that may be a call. */
  opening: string;
  write(calls: readonly ToolCall[]): string;
  /** The calls that a text is; what is wrong with them, for the model to read; undefined where it speaks of none. */
  parse(text: string): ToolCall[] | string | undefined;
}

/** Before a call of Llama 3 there may be this, a control token. */
const tag = '<|python_tag|>';

/** `{"name": "f", "parameters": {"x": 1}}`; several with semicolons between them. */
const llamaJson: TailFormat = {
  around: { before: name => `{"name": ${JSON.stringify(name)}, "parameters": `, after: '}', between: '; ' },
  opening: '{',
  write: calls => calls.map(call => formatToolCall(call, 'parameters')).join('; '),
  parse(text) {
    const block = text.replace(tag, '').trim();
    if (block === text.trim() && !/^\{\s*"name"\s*:/.test(block)) return undefined;
    const calls = objects(block).map(object => parseToolCall(object, 'parameters'));
    return calls.find(call => typeof call === 'string') ?? (calls as ToolCall[]);
  },
};

const pythonic: TailFormat = {
  opening: '[',
  write: formatPythonicCalls,
  parse: text => parsePythonicCalls(text.replace(tag, '').trim()),
};

const probe: Message[] = [
  { role: 'user', content: 'Question' },
  { role: 'assistant', content: '', toolCalls: [{ name: 'probe', arguments: { value: 1 } }] },
];
const tool = { name: 'probe', description: 'A tool.', parameters: { type: 'object', properties: {} } };

/**
 * How the template writes a call; undefined: in the Hermes format, between markers, which is also for templates that write none.
 */
export function readCallFormat(template: ChatTemplate): TailFormat | undefined {
  let rendered: string;
  try {
    rendered = template.render(probe, [tool]);
  } catch {
    return undefined;
  }
  if (/"name":\s*"probe",\s*"parameters":/.test(rendered) && !rendered.includes('<tool_call>')) return llamaJson;
  return /\[probe\(value=1\)/.test(rendered) ? pythonic : undefined;
}

/** A text cut at semicolons between objects of JSON. A string that does not end reaches to the end: no place is read twice. */
function objects(text: string): string[] {
  const found: string[] = [];
  const json = escapeControls(text);
  let [depth, start] = [0, 0];
  for (const { 0: part, index } of json.matchAll(/"(?:[^"\\]|\\[\s\S]?)*"?|[{}]|;/g)) {
    if (part === '{') depth++;
    if (part === '}') depth--;
    if (part !== ';' || depth !== 0) continue;
    found.push(json.slice(start, index));
    start = index + 1;
  }
  return [...found, json.slice(start)];
}
