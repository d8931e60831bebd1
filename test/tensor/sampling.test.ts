import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Random } from '../../src/random.ts';
import { sample } from '../../src/tensor/ops.ts';
import { scope, Tensor } from '../../src/tensor/tensor.ts';

interface Row {
  logits: number[];
  temperature: number;
  topP: number;
  topK: number;
}

function draw({ logits, temperature, topP, topK }: Row, uniforms: Float32Array) {
  const m = uniforms.length;
  return scope(() =>
    sample(
      Tensor.from(
        Float32Array.from({ length: m * logits.length }, (_, i) => logits[i % logits.length]),
        [m, logits.length],
      ),
      {
        temperatures: new Float32Array(m).fill(temperature),
        topPs: new Float32Array(m).fill(topP),
        topKs: new Int32Array(m).fill(topK),
        uniforms,
      },
    ),
  );
}

function softmax(logits: number[], temperature = 1): number[] {
  const best = Math.max(...logits);
  const weights = logits.map(l => Math.exp((l - best) / temperature));
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map(w => w / total);
}

/** The probabilities left by the cuts: the k likeliest, of these the fewest that reach topP of the whole, normalised. */
function expected({ logits, temperature, topP, topK }: Row): number[] {
  const whole = softmax(logits, temperature);
  const order = whole.map((_, token) => token).sort((a, b) => whole[b] - whole[a]);
  const kept = new Set<number>();
  let mass = 0;
  for (const token of order) {
    if ((topK > 0 && kept.size >= topK) || (topP < 1 && mass >= topP)) break;
    kept.add(token);
    mass += whole[token];
  }
  return whole.map((p, token) => (kept.has(token) ? p / mass : 0));
}

/** Whether ties or roundings leave no doubt what is kept. */
function isClear(probabilities: number[], topP: number): boolean {
  const sorted = probabilities.toSorted((a, b) => b - a);
  let mass = 0;
  return sorted.every((p, i) => {
    mass += p;
    return Math.abs(p - (sorted[i + 1] ?? -1)) > 1e-6 && Math.abs(mass - topP) > 1e-5;
  });
}

/** Every uniform number once, evenly: the share of draws is the probability itself, up to one draw. */
const even = (draws: number) => Float32Array.from({ length: draws }, (_, i) => (i + 0.5) / draws);

const row = fc.record({
  logits: fc.array(fc.double({ min: -6, max: 6, noNaN: true }), { minLength: 1, maxLength: 40 }),
  temperature: fc.constantFrom(0.3, 1, 1.7),
  topP: fc.constantFrom(1, 0.95, 0.6, 0.1),
  topK: fc.constantFrom(0, 1, 5, 100),
});

test('tokens come with the probabilities that temperature, top-k and top-p leave', () => {
  fc.assert(
    fc.property(row, row => {
      const float = { ...row, logits: [...Float32Array.from(row.logits)], topP: Math.fround(row.topP) };
      fc.pre(isClear(softmax(float.logits, row.temperature), row.topP));
      const draws = 4000;
      const counts = new Array(row.logits.length).fill(0);
      for (const token of draw(float, even(draws)).tokens) counts[token]++;
      expected(float).forEach((p, token) => {
        if (p === 0) expect(counts[token]).toBe(0);
        expect(Math.abs(counts[token] - p * draws)).toBeLessThan(1.5);
      });
    }),
    { numRuns: 60 },
  );
});

test('temperature 0 takes the likeliest token, the first of equals', () => {
  const uniforms = even(7);
  expect(new Set(draw({ logits: [1, 4, -2, 4], temperature: 0, topP: 1, topK: 0 }, uniforms).tokens)).toEqual(
    new Set([1]),
  );
});

test('the log-probability is that of the whole distribution at temperature 1', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        row,
        row.map(r => ({ ...r, temperature: 0 })),
      ),
      r => {
        const logits = [...Float32Array.from(r.logits)];
        const whole = softmax(logits);
        const { tokens, logprobs } = draw({ ...r, logits }, even(20));
        tokens.forEach((token, i) => {
          expect(Math.abs(logprobs[i] - Math.log(whole[token]))).toBeLessThan(1e-5);
        });
      },
    ),
  );
});

test('each row is drawn by its own settings', () => {
  const random = Random.of('rows');
  const logits = Float32Array.from({ length: 50 }, () => random.normal());
  const settings = [
    { temperature: 0, topP: 1, topK: 0, uniform: 0.9 },
    { temperature: 1, topP: 1, topK: 0, uniform: 0.2 },
    { temperature: 2, topP: 0.5, topK: 0, uniform: 0.7 },
    { temperature: 1, topP: 1, topK: 3, uniform: 0.99 },
    { temperature: 1, topP: 1, topK: 0, uniform: 0 },
  ];
  const together = scope(() =>
    sample(Tensor.from(logits, [5, 10]), {
      temperatures: Float32Array.from(settings, s => s.temperature),
      topPs: Float32Array.from(settings, s => s.topP),
      topKs: Int32Array.from(settings, s => s.topK),
      uniforms: Float32Array.from(settings, s => s.uniform),
    }),
  );
  settings.forEach(({ uniform, ...cuts }, i) => {
    const alone = draw({ logits: [...logits.subarray(i * 10, i * 10 + 10)], ...cuts }, Float32Array.of(uniform));
    expect([together.tokens[i], together.logprobs[i]]).toEqual([alone.tokens[0], alone.logprobs[0]]);
  });
});
