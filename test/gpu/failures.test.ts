import { spawnSync } from 'node:child_process';
import { expect, onTestFinished, test } from 'vitest';
import { UserError } from '../../src/errors.ts';
import { bytesUnderWay, Gpu } from '../../src/tensor/gpu/gpu.ts';
import { gpuDevice } from '../../src/tensor/gpu/gpuDevice.ts';
import { GpuMemory } from '../../src/tensor/gpu/memory.ts';
import { shader } from '../../src/tensor/gpu/shader.ts';
import { cli } from '../cli.ts';

function open(): Gpu {
  const gpu = Gpu.open();
  onTestFinished(() => gpu.close());
  return gpu;
}

test('what a driver does not take is told in one line where a result is waited for, and ever after', () => {
  const memory = new GpuMemory(open());
  const wrong = shader('wrong', { writes: { y: 'f32' }, body: 'y[p.y] = nothing;' });
  memory.temporary([1], y => {
    memory.run(wrong, { y }, {}, [1, 1, 1]);
    expect(() => memory.read(y)).toThrow(/^the GPU cannot be used: .*wrong.*--resume$/);
    expect(() => memory.read(y)).toThrow(/the GPU cannot be used/);
  });
});

/** Opens a GPU, lets its process have 1.5 GB more, and asks for tensors of 1 GB. */
const tooMuch = `
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
const { Gpu } = await import(process.argv[1]);
const gpu = Gpu.open();
const [, now] = /VmSize:\\s*(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'));
execFileSync('prlimit', ['--pid', String(process.pid), '--as=' + (Number(now) * 1024 + 1.5e9)]);
const bytes = 1e9;
for (let buffer = 0; buffer < 3; buffer++) {
  gpu.send({ kind: 'allocate', buffer, bytes });
  gpu.send({ kind: 'clear', buffer, offset: 0, bytes });
}
try {
  gpu.read([{ buffer: 0, offset: 0, bytes: 4 }]);
} catch (error) {
  console.log(error.message);
}
await gpu.close();
`;

test('a GPU whose memory is full says so in one line', () => {
  const gpu = new URL('../../dist/tensor/gpu/gpu.js', import.meta.url).href;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', tooMuch, gpu], {
    encoding: 'utf8',
  });
  expect(stdout, stderr).toMatch(/^the GPU cannot be used: it has no memory left \(.*\); .*--resume\n$/);
});

test('a tensor that no buffer can hold is refused by its size', () => {
  const device = gpuDevice(open());
  const tooLarge = device.allocate('f32', [2 ** 20, 2 ** 20]);
  expect(() => device.zero(tooLarge)).toThrow(UserError);
  expect(() => device.zero(tooLarge)).toThrow(/a tensor of 4.0 TiB is larger than this GPU takes/);
});

test('memory is given back while more is on its way than waits for the GPU', () => {
  const memory = new GpuMemory(open());
  const data = new Float32Array(8 << 20).fill(3);
  for (let bytes = 0; bytes <= bytesUnderWay; bytes += data.byteLength) {
    memory.temporary([data.length], x => memory.write(x, data));
    memory.trim();
  }
  memory.temporary([2], x => {
    memory.zero(x);
    expect([...memory.read(x)]).toEqual([0, 0]);
  });
});

test('tensors are bound in parts where a driver takes no more at a time', () => {
  const gpu = open();
  const values = Float32Array.from({ length: 3000 }, (_, i) => i % 7);
  const squares = values.reduce((sum, value) => sum + value * value, 0);
  Object.assign(gpu.info, { largestBinding: 4096 });
  const device = gpuDevice(gpu);
  const table = device.allocate('f32', [300, 10]);
  device.write(table, values);
  expect(device.sumSquares(device.view(table, 0, [3000]))).toBe(squares);
  const [ids, taken] = [device.allocate('i32', [3]), device.allocate('f32', [3, 10])];
  device.write(ids, Int32Array.of(299, 0, 150));
  device.embedding(taken, table, ids);
  const rows = [299, 0, 150].flatMap(row => [...values.subarray(10 * row, 10 * row + 10)]);
  expect([...device.read(taken)]).toEqual(rows);
  device.embeddingBackward(table, taken, ids);
  expect([...device.read(table).subarray(2990)]).toEqual([...values.subarray(2990)].map(value => 2 * value));
});

test('a command that is told to compute on a GPU that is not there says so in one line', () => {
  const env = { ...process.env, VK_ICD_FILENAMES: '/nowhere.json' };
  const chat = ['run', 'test/vectors/qwen3-tiny', '--device', 'gpu'];
  const { status, stderr } = spawnSync(process.execPath, [cli, ...chat], { env, encoding: 'utf8' });
  expect(stderr).toMatch(/^the GPU cannot be used: there is none.*\n$/m);
  expect(stderr).not.toMatch(/\.[jt]s:\d/);
  expect(status).toBe(1);
});
