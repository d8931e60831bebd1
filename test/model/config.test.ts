import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { UserError } from '../../src/errors.ts';
import { parameterCount, parseConfig, sameShape, tensorShapes } from '../../src/model/config.ts';
import { families } from '../../src/model/families.ts';
import { publishedConfigs, qwen3Small as qwen3Config } from '../../src/model/published.ts';

/** With the keys that say nothing for this model, as published. */
const qwen3Small = {
  ...qwen3Config,
  max_window_layers: 28,
  rope_scaling: null,
  sliding_window: null,
  use_sliding_window: false,
};

describe('parseConfig', () => {
  it('reads the shape of the model and keeps every key', () => {
    const { raw, ...shape } = parseConfig(qwen3Small);
    expect(shape).toEqual({
      family: families.Qwen3ForCausalLM,
      hiddenSize: 1024,
      layers: 28,
      heads: 16,
      kvHeads: 8,
      headDim: 128,
      intermediateSize: 3072,
      vocabSize: 151936,
      tied: true,
      ropeTheta: 1e6,
      qkvBiases: false,
      outputBiases: false,
      rmsNormEps: 1e-6,
      maxPositions: 40960,
      eosTokenIds: [151645],
      initializerRange: 0.02,
    });
    expect(raw).toEqual(qwen3Small);
  });

  it('reads the rotary base where newer versions of transformers write it', () => {
    const { rope_theta: _, rope_scaling: __, ...rest } = qwen3Small;
    const config = parseConfig({ ...rest, rope_parameters: { rope_theta: 5e6, rope_type: 'default' } });
    expect(config.ropeTheta).toBe(5e6);
  });

  it('reads the rotary base of layers of full attention, where they have one of their own', () => {
    const { rope_theta: _, ...rest } = qwen3Small;
    const rope_parameters = { full_attention: { rope_theta: 2e6, rope_type: 'default' }, sliding_attention: null };
    expect(parseConfig({ ...rest, rope_parameters }).ropeTheta).toBe(2e6);
    expect(parseConfig({ ...rest, rope_theta: 1, rope_parameters }).ropeTheta).toBe(2e6);
    const silent = () => parseConfig({ ...rest, rope_parameters: { full_attention: { rope_type: 'default' } } });
    expect(silent).toThrow('rope_parameters: rope_theta is missing');
  });

  it.each([
    [
      [1, 2],
      [1, 2],
    ],
    [7, [7]],
    [null, []],
  ])('takes %j as eos_token_id', (given, expected) => {
    expect(parseConfig({ ...qwen3Small, eos_token_id: given }).eosTokenIds).toEqual(expected);
  });

  it.each([
    ['architectures', ['GPT2LMHeadModel'], 'Qwen3ForCausalLM'],
    ['architectures', 'toString', 'Qwen3ForCausalLM'],
    ['attention_bias', 'yes', 'boolean'],
    ['hidden_act', 'gelu', 'silu'],
    ['use_sliding_window', true, 'false'],
    ['layer_types', ['full_attention', 'sliding_attention'], 'full_attention'],
    ['mlp_bias', true, 'false'],
    ['rope_scaling', { type: 'dynamic', factor: 2 }, 'dynamic.*default,linear,llama3,yarn'],
    ['rope_scaling', { type: 'linear' }, 'factor'],
    ['rope_scaling', { type: 'linear', factor: 0.5 }, 'factor'],
    ['rope_scaling', { rope_type: 'llama3', factor: 8, low_freq_factor: 4, high_freq_factor: 1 }, 'high_freq_factor'],
    ['rope_scaling', { rope_type: 'yarn', factor: 4, beta_fast: '32' }, 'beta_fast'],
    ['rope_parameters', { rope_theta: 0 }, 'rope_theta'],
    ['rope_parameters', { rope_theta: 1e6, partial_rotary_factor: 0.5 }, 'whole head'],
    ['rope_scaling', 'yarn', 'an object'],
    ['num_hidden_layers', 1e8, '<=1000'],
    ['hidden_size', 2 ** 40, '<=1000000'],
    ['vocab_size', 4_294_967_290, '<=1000000000'],
    ['max_position_embeddings', 1e12, '<=100000000'],
    ['head_dim', -2, '>=1'],
    ['eos_token_id', -1, '>=0'],
    ['eos_token_id', '<end>', 'list of token ids'],
    ['quantization_config', { quant_method: 'fp8' }, 'unquantized'],
    ['num_key_value_heads', 3, 'must divide num_attention_heads, 16'],
    ['head_dim', 127, 'even'],
    ['hidden_size', '1024', 'number'],
    ['vocab_size', undefined, 'number'],
  ])('refuses %s = %j with the key and what is allowed', (key, value, allowed) => {
    const parse = () => parseConfig({ ...qwen3Small, [key]: value }, 'here/config.json');
    expect(parse).toThrow(UserError);
    expect(parse).toThrow(new RegExp(`^here/config\\.json: ${key}.*${allowed}`));
  });
});

it('takes models for the same decoder that end their turns, or were drawn, in another way', () => {
  const config = parseConfig(qwen3Small);
  const same = (changes: object) => sameShape(config, parseConfig({ ...qwen3Small, ...changes }));
  expect(same({ eos_token_id: [1, 2], initializer_range: 0.5, transformers_version: '5' })).toBe(true);
  expect(same({ rms_norm_eps: 1e-5 })).toBe(false);
});

describe('tensorShapes', () => {
  it.each(['qwen3-tiny-tied', 'qwen3-tiny-untied'])('names the tensors of %s with their shapes', name => {
    const dir = new URL(`../vectors/${name}/`, import.meta.url);
    const config = parseConfig(JSON.parse(readFileSync(new URL('config.json', dir), 'utf8')));
    const file = readFileSync(new URL('model.safetensors', dir));
    const header: Record<string, { shape: number[] }> = JSON.parse(
      file.toString('utf8', 8, 8 + Number(file.readBigUInt64LE())),
    );
    const stored = Object.entries(header).map(([tensor, { shape }]) => [tensor, shape]);
    expect([...tensorShapes(config)].sort()).toEqual(stored.sort());
  });

  it.each([
    ['Qwen/Qwen3-0.6B', 596_049_920],
    ['Qwen/Qwen3-1.7B', 1_720_574_976],
    ['Qwen/Qwen3-4B', 4_022_468_096],
  ])('counts the published number of parameters of %s', (name, parameters) => {
    expect(parameterCount(parseConfig(publishedConfigs[name]))).toBe(parameters);
  });
});

describe('the families', () => {
  const llama = {
    architectures: ['LlamaForCausalLM'],
    hidden_size: 576,
    num_hidden_layers: 30,
    num_attention_heads: 9,
    num_key_value_heads: 3,
    intermediate_size: 1536,
    vocab_size: 49_152,
    tie_word_embeddings: true,
  };

  it('knows a family by its model_type where there are no architectures', () => {
    const { architectures: _, ...rest } = llama;
    expect(parseConfig({ ...rest, model_type: 'llama' }).family.title).toBe('Llama');
  });

  it("takes what a config leaves out from transformers: SmolLM2's heads, Llama's positions, as many keys as queries", () => {
    const { num_key_value_heads: _, ...rest } = llama;
    expect(parseConfig(rest)).toMatchObject({ headDim: 64, kvHeads: 9, maxPositions: 2048, ropeTheta: 10_000 });
    expect(() => parseConfig({ ...llama, hidden_size: 577 })).toThrow('head_dim, or hidden_size / num_attention_heads');
  });

  it('has biases where the family always has them, or attention_bias says so', () => {
    const biases = (architecture: string, attention_bias?: boolean) => {
      const config = parseConfig({ ...llama, architectures: [architecture], attention_bias });
      const names = [...tensorShapes(config).keys()].filter(name => /layers\.0\..*bias/.test(name));
      return names.map(name => name.replace(/.*\.(.)_proj\.bias/, '$1')).join('');
    };
    expect(biases('LlamaForCausalLM')).toBe('');
    expect(biases('LlamaForCausalLM', true)).toBe('qkvo');
    expect(biases('Qwen3ForCausalLM', true)).toBe('qkvo');
    expect(biases('Qwen2ForCausalLM')).toBe('qkv');
    expect(() => biases('Qwen2ForCausalLM', true)).toThrow(/attention_bias is true; supported: false; a Qwen2 has/);
  });

  it.each([
    ['LlamaForCausalLM', 134_515_008],
    ['Qwen2ForCausalLM', 134_515_008 + 30 * (576 + 2 * 192)],
    ['Qwen3ForCausalLM', 134_515_008 + 30 * 2 * 64],
  ])('counts the parameters of a %s', (architecture, parameters) => {
    expect(parameterCount(parseConfig({ ...llama, architectures: [architecture], head_dim: 64 }))).toBe(parameters);
  });
});
