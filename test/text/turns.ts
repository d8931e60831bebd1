/** Turns as models write them, good and bad, and what each of them is: for whoever reads turns. */

export interface WrittenTurn {
  name: string;
  /** With `<tool_call>` and `</tool_call>` where the model sampled the markers. */
  text: string;
  /** What is said beside calls. */
  content: string;
  /** Name and arguments of each call, as they are told. */
  calls: [name: string, args: string][];
  /** What the model is told of the first block that is no call. */
  error?: RegExp;
}

const good = '{"name": "f", "arguments": {"x": 1}}';
const f: [string, string] = ['f', '{"x": 1}'];
const block = (body: string) => `<tool_call>\n${body}\n</tool_call>`;

/** A turn that is no call at all: all of it is said, and the error is told. */
const unreadable = (name: string, text: string, error: RegExp): WrittenTurn => ({
  name,
  text,
  content: text,
  calls: [],
  error,
});

const notJson = /^invalid JSON in tool call: /;

/** One of each kind. */
export const singleTurns: WrittenTurn[] = [
  { name: 'no call', text: ' \nJust text.\n ', content: ' \nJust text.\n ', calls: [] },
  { name: 'nothing', text: '', content: '', calls: [] },
  { name: 'a call', text: block(good), content: '', calls: [f] },
  { name: 'a call without line breaks', text: `<tool_call>${good}</tool_call>`, content: '', calls: [f] },
  {
    name: 'parallel calls',
    text: `Both.\n${block(good)}\n${block('{"name": "g", "arguments": {}}')}`,
    content: 'Both.',
    calls: [f, ['g', '{}']],
  },
  {
    name: 'a stray marker in a thought before the real call',
    text: `<think>\nI use <tool_call> for it.\n</think>\n\n${block(good)}`,
    content: '<think>\nI use <tool_call> for it.\n</think>',
    calls: [f],
  },
  {
    name: 'stray closing marker in a thought',
    text: `Ends with </tool_call>, so:\n${block(good)}`,
    content: 'Ends with </tool_call>, so:',
    calls: [f],
  },
  {
    name: 'a stray marker behind the call',
    ...{ text: `${block(good)}\nThat was <tool_call>.`, content: 'That was <tool_call>.', calls: [f] },
    error: /not closed/,
  },
  {
    name: 'a second opening marker',
    text: `<tool_call>\n<tool_call>\n${good}\n</tool_call>`,
    content: '<tool_call>',
    calls: [f],
  },
  {
    name: 'a second opening marker in the middle of a call',
    text: `<tool_call>\n{"name": "g", "argu<tool_call>\n${good}\n</tool_call>`,
    content: '<tool_call>\n{"name": "g", "argu',
    calls: [f],
  },
  {
    name: 'a second closing marker',
    text: `${block(good)}\n</tool_call>`,
    content: '</tool_call>',
    calls: [f],
  },
  unreadable('two objects in one block', block(`${good}\n${good}`), notJson),
  unreadable('two objects in a list', block(`[${good}, ${good}]`), /not a JSON object/),
  unreadable('a missing brace', block('{"name": "f", "arguments": {"x": 1}'), notJson),
  unreadable('two missing braces', block('{"name": "f", "arguments": {"x": 1'), notJson),
  unreadable('a surplus brace', block(`${good}}`), notJson),
  unreadable('text behind the object', block(`${good}\nNow I wait.`), notJson),
  unreadable('text before the object', block(`Call: ${good}`), notJson),
  unreadable('text instead of an object', block('f(1)'), notJson),
  unreadable('an empty block', block(''), notJson),
  unreadable('a single quote', block("{'name': 'f', 'arguments': {}}"), notJson),
  unreadable('an open string', block('{"name": "f", "arguments": {"x": "1}}'), notJson),
  unreadable('a wrong escape', block('{"name": "f", "arguments": {"x": "\\d"}}'), notJson),
  unreadable('a number that is none', block('{"name": "f", "arguments": {"x": NaN}}'), notJson),
  unreadable('a number as a key', block('{"name": "f", "arguments": {1.0: 2}}'), notJson),
  unreadable('no name', block('{"arguments": {}}'), /no "name"/),
  unreadable('no arguments', block('{"name": "f"}'), /no "arguments"/),
  unreadable('arguments that are no object', block('{"name": "f", "arguments": [1]}'), /not a JSON object/),
  unreadable('arguments as a text that is none', block('{"name": "f", "arguments": "{"}'), /^invalid JSON in the "arg/),
  unreadable(
    'nested too deep',
    block(`{"name": "f", "arguments": {"x": ${'['.repeat(2000)}${']'.repeat(2000)}}}`),
    notJson,
  ),
  unreadable('a call that is not closed', `So:\n<tool_call>\n${good}\n`, /^tool call is not closed/),
  unreadable('a call that breaks off', 'So:\n<tool_call>\n{"name": "f", "argum', /^tool call is not closed/),
  {
    name: 'a good call behind a bad one',
    text: `A\n${block('{')}\n${block(good)}`,
    content: `A\n${block('{')}`,
    calls: [f],
    error: notJson,
  },
  {
    name: 'a bad call behind a good one',
    text: `A\n${block(good)}\n${block('{')}`,
    content: `A\n${block('{')}`,
    calls: [f],
    error: notJson,
  },
  {
    name: 'a raw newline in a string',
    text: block('{"name": "f", "arguments": {"code": "a = 1\nprint(a)"}}'),
    content: '',
    calls: [['f', '{"code": "a = 1\\nprint(a)"}']],
  },
  {
    name: 'a raw tab in a string, and in a key',
    text: block('{"name": "f", "arguments": {"a\tb": "if x:\n\ty"}}'),
    content: '',
    calls: [['f', '{"a\\tb": "if x:\\n\\ty"}']],
  },
  {
    name: 'raw and written escapes beside escaped quotes and backslashes',
    text: block('{"name": "f", "arguments": {"x": "\\"\n\\\\", "y": "\\\\\\"\t"}}'),
    content: '',
    calls: [['f', '{"x": "\\"\\n\\\\", "y": "\\\\\\"\\t"}']],
  },
  {
    name: 'white space of JSON around everything',
    text: block('\n { "name"\t:\n"f" ,"arguments" : { "x":1 } }\n\n'),
    content: '',
    calls: [f],
  },
  {
    name: 'another order, and more keys',
    text: block('{"id": 7, "arguments": {"x": 1}, "name": "f"}'),
    content: '',
    calls: [f],
  },
  {
    name: 'arguments as text',
    text: block('{"name": "f", "arguments": "{\\"x\\": 1}"}'),
    content: '',
    calls: [f],
  },
  {
    name: 'numbers of every kind',
    text: block('{"name": "f", "arguments": {"x": [1.0, 1e-07, 1E5, -0, 0.10, 12345678901234567890, 2]}}'),
    content: '',
    calls: [['f', '{"x": [1.0, 1e-07, 1E5, -0, 0.10, 12345678901234567890, 2]}']],
  },
  {
    name: 'brackets, quotes and markup in strings',
    text: block('{"name": "f", "arguments": {"x": "}]\\"<tool_cal{[", "</tool": "l>"}}'),
    content: '',
    calls: [['f', '{"x": "}]\\"<tool_cal{[", "</tool": "l>"}']],
  },
  {
    name: 'a key that JavaScript knows',
    text: block('{"name": "f", "arguments": {"__proto__": {"x": 1}}}'),
    content: '',
    calls: [['f', '{"__proto__": {"x": 1}}']],
  },
];

const befores = ['', 'A', 'A ', 'A\n', 'A <tool_call> B\n\n', ' \n'];
const behinds = ['', ' C', '\n\nC\n', '\n'];
const bodies: Pick<WrittenTurn, 'text' | 'calls' | 'error'>[] = [
  { text: good, calls: [f] },
  { text: good.replace('1', '"\n\t"'), calls: [['f', '{"x": "\\n\\t"}']] },
  { text: good.replace('1', '2.50'), calls: [['f', '{"x": 2.50}']] },
  ...[good.slice(0, -1), `${good}}`, `${good} ${good}`, `${good} and so on`, ''].map(text => ({
    text,
    calls: [],
    error: notJson,
  })),
];

/** What stands before and behind a call is said as it stands, with what separates it; at the ends of the turn nothing separates. */
function beside(before: string, behind: string): string {
  const [gap, lead] = [before.slice(before.trimEnd().length), behind.slice(0, -behind.trimStart().length || undefined)];
  const separator = [gap, lead].sort((a, b) => b.split('\n').length - a.split('\n').length || b.length - a.length)[0];
  const words = [before.trimEnd(), behind.trim()].filter(text => text !== '');
  return words.join(separator);
}

const combinedTurns = befores.flatMap(before =>
  bodies.flatMap(({ text, calls, error }) =>
    behinds.map((behind): WrittenTurn => {
      const whole = before + block(text) + behind;
      return {
        name: JSON.stringify(whole),
        text: whole,
        content: error ? whole : beside(before, behind),
        calls,
        error,
      };
    }),
  ),
);

/** All of them, and good and bad blocks with all that may stand before and behind. */
export const writtenTurns = [...singleTurns, ...combinedTurns];
