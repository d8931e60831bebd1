import { readCheckpoint } from '../../src/checkpoint/checkpoint.ts';

/** The largest difference between two models' parameters, as a part of the largest parameter of its tensor. */
export function difference(a: string, b: string): number {
  const [left, right] = [a, b].map(dir => readCheckpoint(dir));
  const others = new Map(right.tensors.map(tensor => [tensor.name, tensor]));
  const worst = left.tensors.map(tensor => {
    const [mine, theirs] = [tensor.read(), others.get(tensor.name)!.read()];
    const largest = mine.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    return mine.reduce((most, value, i) => Math.max(most, Math.abs(value - theirs[i])), 0) / largest;
  });
  left.close();
  right.close();
  return Math.max(...worst);
}
