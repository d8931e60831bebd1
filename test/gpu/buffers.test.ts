import { expect, onTestFinished, test, vi } from 'vitest';
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
