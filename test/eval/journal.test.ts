import { mkdtempSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { Journal } from '../../src/eval/journal.ts';

const entrySchema = z.object({ place: z.int(), text: z.string() });
type Entry = z.infer<typeof entrySchema>;

const folder = mkdtempSync(join(tmpdir(), 'sod-journal-'));
let files = 0;

function open(path: string): Journal<Entry> {
  return new Journal(path, entrySchema, ({ place }) => place);
}

const entries = fc.uniqueArray(
  fc.record({ place: fc.nat(1000), text: fc.string({ unit: 'binary', maxLength: 200 }) }),
  {
    selector: ({ place }) => place,
    maxLength: 20,
  },
);

test('cut at any byte, it has the records whose lines are whole, and goes on', () => {
  fc.assert(
    fc.property(entries, fc.double({ min: 0, max: 1, noNaN: true }), (all, part) => {
      const path = join(folder, `${files++}.jsonl`);
      const journal = open(path);
      for (const entry of all) journal.add(entry);
      journal.close();
      const bytes = readFileSync(path).length;
      const cut = Math.floor(part * bytes);
      truncateSync(path, cut);

      const lines = readFileSync(path, 'utf8').split('\n').length - 1;
      const again = open(path);
      expect(again.size).toBe(lines);
      for (const entry of all.slice(0, lines)) expect(again.read(entry.place)).toEqual(entry);
      for (const entry of all) if (!again.has(entry.place)) again.add(entry);
      again.finish();
      again.close();
      const sorted = all.toSorted((a, b) => a.place - b.place);
      expect(readFileSync(path, 'utf8')).toBe(sorted.map(entry => `${JSON.stringify(entry)}\n`).join(''));
    }),
  );
});

test('records that are longer than a piece of reading are found again', () => {
  const path = join(folder, 'long.jsonl');
  const journal = open(path);
  const texts = [3_000_000, 1, 2 ** 20 - 1, 2 ** 20].map(length => 'é'.repeat(length));
  for (const [place, text] of texts.entries()) journal.add({ place, text });
  journal.close();
  const again = open(path);
  expect([...again.records()].map(({ text }) => text.length)).toEqual(texts.map(({ length }) => length));
  again.close();
});

test('what is damaged is no record, is made again, and is gone at the end', () => {
  const path = join(folder, 'damaged.jsonl');
  const all = [0, 1, 2, 3].map(place => ({ place, text: `text ${place}` }));
  const lines = all.map(entry => JSON.stringify(entry));
  const damaged = [
    '',
    '\0\0\0',
    lines[0].slice(0, 8) + lines[1],
    '{"place":1}',
    '{"place":0.5,"text":""}',
    'null',
    '[]',
  ];
  for (const [i, line] of damaged.entries()) {
    for (const at of [0, 2, 4]) {
      writeFileSync(
        path,
        lines
          .toSpliced(at, at === 4 ? 0 : 1, line)
          .map(text => `${text}\n`)
          .join(''),
      );
      const journal = open(path);
      expect([i, journal.size]).toEqual([i, at === 4 ? 4 : 3]);
      for (const entry of all) if (!journal.has(entry.place)) journal.add(entry);
      expect([...journal.records()]).toEqual(all);
      journal.finish();
      journal.close();
      expect(readFileSync(path, 'utf8')).toBe(lines.map(text => `${text}\n`).join(''));
    }
  }
});

test('of two records in one place the later counts, and stays alone', () => {
  const path = join(folder, 'twice.jsonl');
  const [first, second] = [1, 2].map(n => JSON.stringify({ place: 0, text: `text ${n}` }));
  writeFileSync(path, `${first}\n${second}\n`);
  const journal = open(path);
  expect([...journal.records()]).toEqual([{ place: 0, text: 'text 2' }]);
  journal.finish();
  journal.close();
  expect(readFileSync(path, 'utf8')).toBe(`${second}\n`);
});
