import { stringifyJson } from '../json.ts';
import type { Grammar, Sequence, Term } from './grammar.ts';

/** Between the marks of JSON: nothing, a space, or a new line and how far it is set in. More than that no writer needs. */
export const space: Term = { rule: 'space' };

const digit: Term = { bytes: [[0x30, 0x39]] };
const continuation: Term = { bytes: [[0x80, 0xbf]] };
const hex: Term = {
  bytes: [
    [0x30, 0x39],
    [0x41, 0x46],
    [0x61, 0x66],
  ],
};

/** A value's own digits are as many as a double tells apart; without a bound a number may never end. */
const mostDigits = 16;

const fraction = optional([{ text: '.' }, { repeat: [digit], min: 1, max: mostDigits }]);
const exponent = optional([either('eE'), optional([either('+-')]), { repeat: [digit], min: 1, max: 2 }]);

/** Rules for values of any kind, by which all others are made. */
export const jsonRules: Grammar['rules'] = {
  space: [[], [{ text: ' ' }], [{ text: '\n' }, { repeat: [{ text: ' ' }], min: 0, max: 20 }]],
  value: [
    [{ rule: 'object' }],
    [{ rule: 'array' }],
    [{ rule: 'string' }],
    [{ rule: 'number' }],
    [{ rule: 'boolean' }],
    [{ text: 'null' }],
  ],
  object: [enclosed('{', '}', [{ rule: 'string' }, { text: ':' }, space, { rule: 'value' }])],
  array: [enclosed('[', ']', [{ rule: 'value' }])],
  boolean: [[{ text: 'true' }], [{ text: 'false' }]],
  // A leading zero stands alone.
  whole: [[{ text: '0' }], [{ bytes: [[0x31, 0x39]] }, { repeat: [digit], min: 0, max: mostDigits - 1 }]],
  string: [[stringOf(0, null)]],
  number: [[optional([{ text: '-' }]), { rule: 'whole' }, fraction, exponent]],
  // One character of a string: UTF-8 without the marks that must be escaped (RFC 3629, RFC 8259), or an escape.
  character: [
    [
      {
        bytes: [
          [0x20, 0x21],
          [0x23, 0x5b],
          [0x5d, 0x7e],
        ],
      },
    ],
    [{ bytes: [[0xc2, 0xdf]] }, continuation],
    [{ text: '\\' }, { rule: 'escape' }],
    ...[
      [0xe0, 0xa0, 0xbf],
      [0xed, 0x80, 0x9f],
    ].map(([lead, low, high]): Sequence => [{ bytes: [[lead, lead]] }, { bytes: [[low, high]] }, continuation]),
    [
      {
        bytes: [
          [0xe1, 0xec],
          [0xee, 0xef],
        ],
      },
      continuation,
      continuation,
    ],
    [{ bytes: [[0xf0, 0xf0]] }, { bytes: [[0x90, 0xbf]] }, continuation, continuation],
    [{ bytes: [[0xf1, 0xf3]] }, continuation, continuation, continuation],
    [{ bytes: [[0xf4, 0xf4]] }, { bytes: [[0x80, 0x8f]] }, continuation, continuation],
  ],
  // A lone half of a surrogate pair is no character: of \u escapes only those outside of D800 to DFFF may come.
  escape: [
    [either('"\\/bfnrt')],
    [
      { text: 'u' },
      {
        bytes: [
          [0x30, 0x39],
          [0x41, 0x43],
          [0x45, 0x46],
          [0x61, 0x63],
          [0x65, 0x66],
        ],
      },
      hex,
      hex,
      hex,
    ],
  ],
};

function either(marks: string): Term {
  return { bytes: [...marks].map(mark => [mark.charCodeAt(0), mark.charCodeAt(0)]) };
}

export function optional(sequence: Sequence): Term {
  return { repeat: sequence, min: 0, max: 1 };
}

/** A string of `min` to `max` characters; `max` null: without end. */
export function stringOf(min: number, max: number | null): Term {
  return { repeat: [{ text: '"' }, { repeat: [{ rule: 'character' }], min, max }, { text: '"' }], min: 1, max: 1 };
}

/** Exactly this value, without spaces; its numbers as they were written. */
export function literal(value: unknown): Term {
  return { text: stringifyJson(value) };
}

function enclosed(open: string, close: string, item: Sequence): Sequence {
  const more: Term = { repeat: [{ text: ',' }, space, ...item], min: 0, max: null };
  return [{ text: open }, space, optional([...item, more]), space, { text: close }];
}
