import type { ModelConfig } from '../../src/model/config.ts';

/** A matrix as rows, a vector as a row of its own. */
export type Parameters = ReadonlyMap<string, number[][]>;

/**
 * The decoder as its papers write it, slow and plain, in float64: token ids to logits [tokens][vocabulary].
 * @param frequencies by which each pair of dimensions turns from one position to the next
 * @param magnitude by which cosines and sines are multiplied
 */
export function referenceLogits(
  config: ModelConfig,
  parameters: Parameters,
  { frequencies, magnitude }: { frequencies: number[]; magnitude: number },
  tokens: readonly number[],
): number[][] {
  const { heads, kvHeads, headDim, rmsNormEps } = config;
  const get = (name: string) => parameters.get(name)!;
  const norm = (x: number[], gain: number[]) => {
    const rms = Math.sqrt(dot(x, x) / x.length + rmsNormEps);
    return x.map((value, i) => (value / rms) * gain[i]);
  };
  const linear = (x: number[], name: string) => {
    const bias = parameters.get(`${name}.bias`)?.[0];
    return get(`${name}.weight`).map((row, i) => dot(row, x) + (bias?.[i] ?? 0));
  };
  const rotate = (x: number[], position: number) =>
    x.map((value, i) => {
      const [pair, half] = [i % (headDim / 2), headDim / 2];
      const [cos, sin] = [Math.cos, Math.sin].map(f => magnitude * f(position * frequencies[pair]));
      return i < half ? value * cos - x[i + half] * sin : value * cos + x[i - half] * sin;
    });
  const head = (x: number[], index: number) => x.slice(index * headDim, (index + 1) * headDim);

  let stream = tokens.map(token => get('model.embed_tokens.weight')[token]);
  for (let layer = 0; layer < config.layers; layer++) {
    const name = (part: string) => `model.layers.${layer}.${part}`;
    const project = (x: number[], which: 'q' | 'k', count: number, position: number) => {
      const all = linear(x, name(`self_attn.${which}_proj`));
      const gain = parameters.get(name(`self_attn.${which}_norm.weight`))?.[0];
      return Array.from({ length: count }, (_, h) => rotate(gain ? norm(head(all, h), gain) : head(all, h), position));
    };
    const normed = stream.map(x => norm(x, get(name('input_layernorm.weight'))[0]));
    const queries = normed.map((x, t) => project(x, 'q', heads, t));
    const keys = normed.map((x, t) => project(x, 'k', kvHeads, t));
    const values = normed.map(x => linear(x, name('self_attn.v_proj')));
    const attended = queries.map((query, t) =>
      query.flatMap((q, h) => {
        const kv = Math.floor(h / (heads / kvHeads));
        const shares = softmax(keys.slice(0, t + 1).map(key => dot(q, key[kv]) / Math.sqrt(headDim)));
        return sum(shares.map((share, s) => head(values[s], kv).map(value => share * value)));
      }),
    );
    stream = stream.map((x, t) => sum([x, linear(attended[t], name('self_attn.o_proj'))]));
    stream = stream.map(x => {
      const y = norm(x, get(name('post_attention_layernorm.weight'))[0]);
      const [gate, up] = ['gate', 'up'].map(part => linear(y, name(`mlp.${part}_proj`)));
      const hidden = gate.map((g, i) => (g / (1 + Math.exp(-g))) * up[i]);
      return sum([x, linear(hidden, name('mlp.down_proj'))]);
    });
  }
  const output = config.tied ? 'model.embed_tokens' : 'lm_head';
  return stream.map(x => linear(norm(x, get('model.norm.weight')[0]), output));
}

function dot(a: number[], b: number[]): number {
  return a.reduce((total, value, i) => total + value * b[i], 0);
}

function sum(rows: number[][]): number[] {
  return rows[0].map((_, i) => rows.reduce((total, row) => total + row[i], 0));
}

function softmax(x: number[]): number[] {
  const largest = Math.max(...x);
  const powers = x.map(value => Math.exp(value - largest));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map(power => power / total);
}
