import { mkdtempSync, readFileSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Journal } from '../../src/eval/journal.ts';

interface Entry {
  place: number;
  text: string;
}

const folder = mkdtempSync(join(tmpdir(), 'sod-journal-'));
let files = 0;

function open(path: string): Journal<Entry> {
  return new Journal<Entry>(path, ({ place }) => place);
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
