import { expect } from 'vitest';
import { Random } from '../../src/random.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { scope, Tensor } from '../../src/tensor/tensor.ts';

export type Activations = 'f32' | 'bf16';

export interface Values {
  data: Float32Array;
  shape: number[];
}

/** One operation on given inputs, as the decoder would record it. */
export interface Operation {
  /** Differentiated through the tape; a `stream` is f32 whatever the precision of the others. */
  activations?: Record<string, Values & { stream?: boolean }>;
  /** f32; their gradients are added to what is in storage. */
  parameters?: Record<string, Values>;
  /** About how large becomes what is rounded on the way, where what comes out may be far smaller. */
  inside?: number;
  /** @returns the outputs that a gradient reaches */
  run(
    dtype: Activations,
    tape: Tape | undefined,
    activations: Record<string, Tensor>,
    parameters: Record<string, { weight: Tensor; grad: Tensor }>,
  ): Tensor[];
}

interface Evaluation {
  outputs: Float32Array[];
  /** By name of the activation or parameter. */
  gradients: Record<string, Float32Array>;
}

export function normal(seed: number, ...shape: number[]): Values {
  const random = Random.of(seed, 'values', ...shape);
  const size = shape.reduce((a, b) => a * b, 1);
  return { data: Float32Array.from({ length: size }, () => random.normal()), shape };
}

/** Rounded to what bf16 can hold. */
export function rounded({ data, shape, ...rest }: Values): Values {
  return { ...rest, shape, data: scope(() => Tensor.from(data, shape, 'bf16').floats()) };
}

/** The gradients of Σ r·outputs with a fixed random r, and the outputs themselves. */
export function evaluate(operation: Operation, dtype: Activations, differentiate = true): Evaluation {
  return scope(() => {
    const tape = differentiate ? new Tape() : undefined;
    const inputs = mapValues(operation.activations ?? {}, ({ data, shape, stream }) =>
      Tensor.from(data, shape, stream ? 'f32' : dtype),
    );
    const parameters = mapValues(operation.parameters ?? {}, ({ data, shape }) => ({
      weight: Tensor.from(data, shape),
      grad: Tensor.from(new Float32Array(data.length).fill(1), shape),
    }));
    const outputs = operation.run(dtype, tape, inputs, parameters);
    const values = outputs.map(output => output.floats());
    if (!tape) return { outputs: values, gradients: {} };
    // A kernel that writes only its part of a shared gradient leaves these zeros alone.
    for (const input of Object.values(inputs)) tape.give(input, Tensor.zeros(input.dtype, input.shape));
    outputs.forEach((output, i) => {
      const gradient = projection(i, output.size);
      tape.give(output, Tensor.from(gradient, output.shape, output.dtype as Activations));
    });
    tape.backward();
    return {
      outputs: values,
      gradients: {
        ...mapValues(inputs, input => tape.gradient(input).floats()),
        ...mapValues(parameters, ({ grad }) => grad.floats().map(g => g - 1)),
      },
    };
  });
}

/** Compares the backward pass in f32 with five-point central differences, at some coordinates of every input. */
export function checkGradients(operation: Operation, tolerance = 5e-4): void {
  const { gradients } = evaluate(operation, 'f32');
  const h = 2e-2;
  const projected = () => {
    const { outputs } = evaluate(operation, 'f32', false);
    return outputs.reduce((sum, output, o) => sum + dot(projection(o, output.length), output), 0);
  };
  const inputs = { ...operation.activations, ...operation.parameters };
  for (const [name, { data }] of Object.entries(inputs)) {
    const gradient = gradients[name];
    const scale = Math.max(1, ...gradient.map(Math.abs));
    for (const i of coordinates(data.length)) {
      const value = data[i];
      const at = (offset: number) => {
        data[i] = value + offset;
        const result = projected();
        data[i] = value;
        return result;
      };
      const slope = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
      expect(Math.abs(gradient[i] - slope), `d/d${name}[${i}]: ${gradient[i]}, slope ${slope}`).toBeLessThan(
        tolerance * scale,
      );
    }
  }
}

/** Compares bf16 with f32 on the same numbers: outputs and gradients differ by the rounding of what is stored. */
export function checkBf16(operation: Operation): void {
  const exact = {
    ...operation,
    activations: mapValues(operation.activations ?? {}, values => (values.stream ? values : rounded(values))),
    parameters: mapValues(operation.parameters ?? {}, rounded),
  };
  const [half, full] = [evaluate(exact, 'bf16'), evaluate(exact, 'f32')];
  const { inside = 1 } = operation;
  full.outputs.forEach((output, i) => {
    expectRounded(half.outputs[i], output, inside, `output ${i}`);
  });
  for (const name of Object.keys(full.gradients)) {
    expectRounded(half.gradients[name], full.gradients[name], inside, name);
  }
}

function expectRounded(actual: Float32Array, exact: Float32Array, inside: number, what: string): void {
  const scale = Math.max(1, inside, ...exact.map(Math.abs));
  const worst = exact.reduce((most, value, i) => Math.max(most, Math.abs(actual[i] - value)), 0);
  expect(worst, what).toBeLessThanOrEqual(2 ** -6 * scale);
}

/** Numbers that bf16 holds exactly. */
function projection(output: number, size: number): Float32Array {
  const random = Random.of('projection', output);
  return Float32Array.from({ length: size }, () => (random.below(129) - 64) / 64);
}

function coordinates(length: number): number[] {
  const some = Array.from({ length }, (_, i) => i);
  return Random.of('coordinates', length).shuffled(some).slice(0, 6);
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}

function mapValues<A, B>(record: Record<string, A>, change: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}
