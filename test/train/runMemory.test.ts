import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeRandomGguf } from '../../bench/randomGguf.ts';
import { parseConfig } from '../../src/model/config.ts';
import { planTraining } from '../../src/train/plan.ts';
import { formatPlan } from '../../src/train/planText.ts';
import { parseRecipe } from '../../src/train/recipe.ts';
import { fitted, planRunMemory } from '../../src/train/runMemory.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';

const model = parseConfig({
  architectures: ['Qwen3ForCausalLM'],
  hidden_size: 256,
  intermediate_size: 512,
  num_hidden_layers: 8,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 64,
  vocab_size: 500,
  tie_word_embeddings: true,
  max_position_embeddings: 4096,
});
const folder = temporaryFolder(afterAll);
const [student, teacher] = ['student', 'teacher'].map(name => join(folder, `${name}.gguf`));
beforeAll(async () => {
  for (const file of [student, teacher]) await writeRandomGguf(file, model, () => 'Q4_K');
});

const input = {
  method: 'sod',
  model: student,
  teacher,
  lora: { rank: 4 },
  engine: { activationBytes: 2 ** 26, cacheBytes: 2 ** 20 },
  rollout: { maxPromptTokens: 100, maxResponseTokens: 400 },
};
const models = { model, scorers: [{ place: teacher, config: model }] };

test('the plan says what stays in blocks, and counts the longest sequence', async () => {
  const planned = async (changes: object) => planTraining(parseRecipe({ ...input, ...changes }));
  const plan = await planned({});
  expect(formatPlan(plan)).toMatch(/memory here +0.\d GiB: weights 0.0, .*keys and values 0.0, teacher in blocks 0.0;/);
  const inBlocks = await planned({ engine: { ...input.engine, quantized: 'blocks', recompute: 'on' } });
  expect(formatPlan(inBlocks)).toMatch(
    /weights in blocks .* expanded weights .* activations of layers computed twice /,
  );
  const onGpu = formatPlan(await planned({ engine: { ...input.engine, device: 'gpu' } }));
  expect(onGpu).toMatch(/memory on its GPU +0.\d GiB: weights 0.0, .*; how much it has, WebGPU does not say$/m);
  expect(onGpu).not.toContain('memory here');
  const activations = ({ memory }: typeof plan) => memory.find(({ what }) => what.startsWith('activations'))!.bytes;
  const long = await planned({ rollout: { maxPromptTokens: 100, maxResponseTokens: 9900 } });
  expect(activations(long)).toBeGreaterThan(1.5 * activations(plan));
});

test('a run holds its models so that they fit beside each other, and is refused where they cannot', () => {
  const recipe = parseRecipe(input);
  const ways: unknown[] = [];
  for (let available = Number.POSITIVE_INFINITY; ; ) {
    const { parts, student } = planRunMemory(recipe, models, available);
    const needed = parts.reduce((sum, { bytes }) => sum + bytes, 0);
    if (needed > available) {
      expect(() => fitted(recipe, models, available)).toThrow(
        /^this run does not fit into memory: it needs weights in blocks .* teacher in blocks 0.0 GiB, and 0\.\d GiB are free/,
      );
      break;
    }
    ways.push(fitted(recipe, models, available).engine);
    expect(parts.at(-1)!.what).toBe('teacher in blocks');
    expect(student.need.cache).toBe(0);
    available = needed - 1;
  }
  expect(ways).toMatchObject([{ recompute: 'auto' }, { recompute: 'on' }, { recompute: 'on', quantized: 'blocks' }]);
  expect(ways[0]).not.toHaveProperty('quantized');
});

test('the engine of a server is left as it is', () => {
  const recipe = parseRecipe({ ...input, engine: { kind: 'tinker', url: 'http://127.0.0.1:1' }, lora: undefined });
  expect(fitted(recipe, models, 0)).toBe(recipe);
});
