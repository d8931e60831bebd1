import { expect, test } from 'vitest';
import { Mixture } from '../../src/data/mixture.ts';
import { Spool } from '../../src/data/spool.ts';

const sizes: Record<string, number> = { a: 4, b: 2, 'hf:o/c': 6 };

function mixture(...datasets: { source: string; weight?: number }[]) {
  return Mixture.of(datasets, async ({ source }) =>
    Spool.of(
      (async function* () {
        for (let i = 0; i < sizes[source]; i++) yield `${source}${i}`;
      })(),
    ),
  );
}

function records(mixed: Mixture<string>): string[] {
  return Array.from({ length: mixed.length }, (_, i) => mixed.read(i));
}

test('one dataset is itself', async () => {
  expect(records(await mixture({ source: 'a' }))).toEqual(['a0', 'a1', 'a2', 'a3']);
});

test('without weights all records come once, spread evenly', async () => {
  const mixed = records(await mixture({ source: 'b' }, { source: 'a' }));
  expect(mixed.toSorted()).toEqual(['a0', 'a1', 'a2', 'a3', 'b0', 'b1']);
  for (const start of [0, 3]) {
    expect(mixed.slice(start, start + 3).filter(record => record.startsWith('b'))).toHaveLength(1);
  }
});

test('by weights each has its share of a round in which every record comes', async () => {
  const mixed = await mixture({ source: 'b', weight: 3 }, { source: 'hf:o/c', weight: 1 });
  expect(mixed.length).toBe(24);
  const read = records(mixed);
  expect(new Set(read).size).toBe(8);
  expect(read.filter(record => record.startsWith('b'))).toHaveLength(18);
  expect(read.map((_, i) => mixed.nameOf(i)[0])).toEqual(read.map(record => record[0]));
});

test('datasets of one name are told apart', async () => {
  expect((await mixture({ source: 'a' }, { source: 'a' })).names).toEqual(['a', 'a (2)']);
});

test('weights that would make an endless round are refused', async () => {
  await expect(mixture({ source: 'a', weight: 1 }, { source: 'b', weight: 1e8 })).rejects.toThrow(/less unequal/);
});
