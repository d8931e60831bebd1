import { expect, onTestFinished, test, vi } from 'vitest';
import { GpuBuffers, spareBytes } from '../../src/tensor/gpu/buffers.ts';
import { Gpu } from '../../src/tensor/gpu/gpu.ts';
import { evaluate } from '../tensor/gradientCheck.ts';
import { operations } from '../tensor/operations.ts';
import { gpu } from './onGpu.ts';

test('what is computed once more is bound to the same buffers', () => {
  const send = vi.spyOn(gpu, 'send');
  onTestFinished(() => send.mockRestore());
  const operation = operations.adaptedLinear({ n: 9, rows: 12, columns: 12, rank: 3, seed: 1 });
  const bound = () => {
    send.mockClear();
    evaluate(operation, 'f32');
    return send.mock.calls.flatMap(([command]) => (command.kind === 'run' ? [command.parts] : []));
  };
  bound();
  const again = bound();
  expect(again.length).toBeGreaterThan(10);
  expect(bound()).toEqual(again);
});

test('what lies vacant beside the most that was in use is bounded', () => {
  const gpu = Gpu.open();
  onTestFinished(() => gpu.close());
  const send = vi.spyOn(gpu, 'send');
  const buffers = new GpuBuffers(gpu);
  const sizes = new Map<number, number>();
  const held = () => {
    for (const [command] of send.mock.calls) {
      if (command.kind === 'allocate') sizes.set(command.buffer, command.bytes);
      if (command.kind === 'destroy') sizes.delete(command.buffer);
    }
    send.mockClear();
    return [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
  };
  const most = [];
  for (let size = 160 << 20; size >= 64 << 20; size -= 16 << 20) {
    const taken = Array.from({ length: 2 }, () => buffers.take(size));
    most.push(held());
    for (const buffer of taken) buffers.giveBack(size, buffer);
    expect(buffers.take(size)).toBe(taken[0]);
    buffers.giveBack(size, taken[0]);
  }
  expect(Math.max(...most)).toBeGreaterThan(320 << 20);
  expect(Math.max(...most)).toBeLessThanOrEqual((320 << 20) + spareBytes);
  buffers.trim();
  expect(held()).toBe(0);
});
