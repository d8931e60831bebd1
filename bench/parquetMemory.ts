/**
 * How much memory it takes to read a large Parquet file: writes one of about 1 GB (of rows as large as programming problems
 * with their tests), reads all of it in a process of its own, and prints the most memory that process had:
 * `npm run bench:parquet`, or with another size `npm run bench:parquet -- 0.5`.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fileWriter, ParquetWriter } from 'hyparquet-writer';
import type { ExampleTests } from '../src/data/task.ts';
import { openTasks } from '../src/data/tasks.ts';
import { Random } from '../src/random.ts';

const rowsPerGroup = 64;
const random = Random.of('tests');
const digits = Array.from({ length: 2 ** 19 / 10 }, () => random.uint32()).join(' ');

if (process.argv[2] === '--read') await read(process.argv[3]);
else measure(Number(process.argv[2] ?? 1));

function measure(gigabytes: number): void {
  const folder = mkdtempSync(join(tmpdir(), 'sod-parquet-'));
  try {
    const file = join(folder, 'large.parquet');
    write(file, gigabytes * 2 ** 30);
    console.log(`file        ${(statSync(file).size / 2 ** 20).toFixed(0)} MiB, row groups of ${rowsPerGroup} rows`);
    const { stdout, stderr, status } = spawnSync(
      process.execPath,
      ['--import', 'tsx', fileURLToPath(import.meta.url), '--read', file],
      { encoding: 'utf8' },
    );
    if (status !== 0) throw new Error(stderr);
    process.stdout.write(stdout);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function write(file: string, bytes: number): void {
  const writer = new ParquetWriter({
    writer: fileWriter(file),
    schema: [
      { name: 'schema', num_children: 2 },
      { name: 'problem', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
      { name: 'reward_model', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
    ],
    codec: 'SNAPPY',
  });
  for (let row = 0; statSync(file).size < bytes; row += rowsPerGroup) {
    const numbers = Array.from({ length: rowsPerGroup }, (_, i) => row + i);
    writer.write({
      columnData: [
        { name: 'problem', data: numbers.map(number => `Problem ${number}`) },
        { name: 'reward_model', data: numbers.map(number => JSON.stringify(tests(number))) },
      ],
      rowGroupSize: rowsPerGroup,
    });
  }
  writer.finish();
}

/** Digits that hardly compress, for each row begins elsewhere among them. */
function tests(row: number) {
  const start = (row * 7919) % digits.length;
  return { inputs: [digits.slice(start) + digits.slice(0, start)], outputs: ['1\n'] };
}

async function read(file: string): Promise<void> {
  const began = performance.now();
  const tasks = await openTasks({ source: file });
  const seconds = (performance.now() - began) / 1000;
  const { maxRSS } = process.resourceUsage();
  const { inputs } = tasks.read(tasks.length - 1).tests as ExampleTests;
  console.log(`rows        ${tasks.length}, the last with ${inputs[0].length} characters`);
  console.log(`most memory ${(maxRSS / 1024).toFixed(0)} MiB, of the whole process`);
  console.log(`time        ${seconds.toFixed(1)} s`);
}
