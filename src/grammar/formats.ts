import type { Grammar, Sequence, Term } from './grammar.ts';
import { integerBetween } from './numbers.ts';

const within = (...ranges: string[]): Term => ({
  bytes: ranges.map(range => [range.charCodeAt(0), range.charCodeAt(range.length - 1)]),
});
const repeat = (body: Sequence, min: number, max: number): Term => ({ repeat: body, min, max });
const text = (text: string): Term => ({ text });
const rule = (name: string): Term => ({ rule: name });

const digit = within('0-9');
const hex = within('0-9', 'a-f');
const alphanumeric = repeat([within('0-9', 'a-z')], 1, 30);
const amount = repeat([digit], 1, 4);
/** The last two digits of a leap year, where they are not 00; a century is one if its first two are so. */
const leap: Sequence[] = [
  [text('0'), within('4', '8')],
  [within('2', '4', '6', '8'), within('0', '4', '8')],
  [within('1', '3', '5', '7', '9'), within('2', '6')],
];

/**
 * Rules for the formats of strings, `format-` and their names, without quotes. What comes out is always of the format, but not
 * all that is of it can come out: addresses are plain ones, times are those of Greenwich.
 */
export const formatRules: Grammar['rules'] = {
  'format-date': [
    [rule('year'), text('-'), rule('day of year')],
    [rule('leap year'), text('-02-29')],
  ],
  'format-time': [
    [
      ...[rule('hour'), text(':'), rule('sixtieth'), text(':'), rule('sixtieth')],
      ...[repeat([text('.'), repeat([digit], 1, 6)], 0, 1), text('Z')],
    ],
  ],
  'format-date-time': [[rule('format-date'), text('T'), rule('format-time')]],
  'format-duration': [
    [text('P'), amount, text('D'), repeat([text('T'), rule('hours')], 0, 1)],
    [text('PT'), rule('hours')],
  ],
  'format-uuid': [
    between(
      '-',
      [8, 4, 4, 4, 12].map(length => repeat([hex], length, length)),
    ),
  ],
  'format-ipv4': [between('.', Array(4).fill(rule('octet')))],
  'format-ipv6': [between(':', Array(8).fill(repeat([hex], 1, 4)))],
  'format-hostname': [[rule('label'), repeat([text('.'), rule('label')], 0, 5)]],
  'format-email': [
    [
      ...[alphanumeric, repeat([text('.'), alphanumeric], 0, 3), text('@')],
      ...[rule('label'), text('.'), rule('top label')],
    ],
  ],
  'format-uri': [
    [
      ...[text('http'), repeat([text('s')], 0, 1), text('://'), rule('format-hostname')],
      repeat([text('/'), repeat([within('0-9', 'A-Z', 'a-z', '-', '.', '_', '~')], 0, 100)], 0, 20),
    ],
  ],
  year: [
    [within('1-9'), repeat([digit], 3, 3)],
    [text('0'), within('1-9'), digit, digit],
    [text('00'), within('1-9'), digit],
    [text('000'), within('1-9')],
  ],
  'leap year': [...leap.map(last => [digit, digit, ...last]), ...leap.map(century => [...century, text('00')])],
  'day of year': [
    ...['01', '03', '05', '07', '08', '10', '12'].map(month => [text(`${month}-`), rule('day of 31')]),
    ...['04', '06', '09', '11'].map(month => [text(`${month}-`), rule('day of 30')]),
    [text('02-'), rule('day of 28')],
  ],
  'day of 28': [
    [text('0'), within('1-9')],
    [text('1'), digit],
    [text('2'), within('0-8')],
  ],
  'day of 30': [[rule('day of 28')], [text('29')], [text('30')]],
  'day of 31': [[rule('day of 30')], [text('31')]],
  hour: [
    [within('0-1'), digit],
    [text('2'), within('0-3')],
  ],
  sixtieth: [[within('0-5'), digit]],
  hours: [[amount, text('H'), repeat([rule('minutes')], 0, 1)], [rule('minutes')]],
  minutes: [[amount, text('M'), repeat([rule('seconds')], 0, 1)], [rule('seconds')]],
  seconds: [[amount, text('S')]],
  octet: integerBetween(0, 255),
  label: [[alphanumeric, repeat([text('-'), alphanumeric], 0, 1)]],
  'top label': [[repeat([within('a-z')], 2, 6)]],
};

/** Of numbers, and of how texts are shown: they exclude no text. */
export const formatsWithoutRules: readonly string[] = [
  ...['int32', 'int64', 'uint32', 'uint64', 'float', 'double', 'decimal'],
  ...['binary', 'byte', 'password'],
];

function between(mark: string, parts: Term[]): Sequence {
  return parts.flatMap((part, i) => (i ? [text(mark), part] : [part]));
}
