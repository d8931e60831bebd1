import { expect, test } from 'vitest';
import { parseDataset, selectFiles } from '../../src/data/dataset.ts';

const repository = [
  'README.md',
  'data/test-00000-of-00001.parquet',
  'data/train-00000-of-00002.parquet',
  'data/train-00001-of-00002.parquet',
  'extra/constraints.jsonl',
];

test('a file on the Hub is named behind its repository', () => {
  expect(parseDataset('hf:org/name/data/*.parquet')).toEqual({ source: 'hf:org/name', file: 'data/*.parquet' });
  expect(parseDataset('hf:org/name')).toEqual({ source: 'hf:org/name' });
  expect(parseDataset('org/name/file.jsonl')).toEqual({ source: 'org/name/file.jsonl' });
});

test('without a word about it, the training files are the data', () => {
  expect(selectFiles(repository, { source: '' })).toEqual(repository.slice(2, 4));
  expect(selectFiles(['a.parquet', 'b.jsonl', 'c.txt'], { source: '' })).toEqual(['a.parquet', 'b.jsonl']);
});

test('a split is a word of the path', () => {
  expect(selectFiles(repository, { source: '', split: 'test' })).toEqual([repository[1]]);
  expect(selectFiles(repository, { source: '', split: 'constraint' })).toEqual([]);
});

test('a file is a path, in which * is any part; all else in it is itself', () => {
  expect(selectFiles(repository, { source: '', file: 'data/train-*' })).toEqual(repository.slice(2, 4));
  expect(selectFiles(repository, { source: '', file: 'README.md' })).toEqual(['README.md']);
  expect(selectFiles(repository, { source: '', file: 'data/test-00000-of-00001?parquet' })).toEqual([]);
});
