import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, test } from 'vitest';
import { modelCard } from '../../src/card/card.ts';
import { licenseOf, writeCard } from '../../src/card/cardFile.ts';
import { cardFacts } from '../../src/card/facts.ts';
import { weightsDigest } from '../../src/checkpoint/baseRecord.ts';
import { readCheckpoint } from '../../src/checkpoint/checkpoint.ts';
import { writeAdapter } from '../../src/checkpoint/writeAdapter.ts';
import {
  evaluationsFile,
  evaluationsOf,
  type KeptEvaluation,
  keepEvaluations,
} from '../../src/eval/keptEvaluations.ts';
import { factorShapes } from '../../src/model/lora.ts';
import { formatRecipe, parseRecipe, type RecipeInput } from '../../src/train/recipe.ts';
import { cli } from '../cli.ts';
import { metadataOf } from './hubRules.ts';

const tinyModel = fileURLToPath(new URL('../vectors/qwen3-tiny-tied', import.meta.url));
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sod-card-'));
});

function model(folder: string): string {
  mkdirSync(folder, { recursive: true });
  for (const file of ['config.json', 'model.safetensors']) cpSync(join(tinyModel, file), join(folder, file));
  return folder;
}

/** A finished run, and its final model. */
function run(name: string, recipe: RecipeInput, updates = 12): string {
  const folder = join(root, name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'recipe.yaml'), formatRecipe(parseRecipe(recipe)));
  writeFileSync(join(folder, 'metrics.jsonl'), `{"iteration":1,"update":1}\n{"iteration":3,"update":${updates}}\n`);
  return model(join(folder, 'final'));
}

const init = { hiddenSize: 48, intermediateSize: 96, layers: 5, heads: 2, kvHeads: 1, headDim: 16 };

/** As of the paper: SFT of a model of the Hub, then SOD by a teacher that was trained here too. */
function pipeline(): string {
  const teacher = run('teacher', {
    method: 'grpo',
    model: 'hf:Qwen/Qwen3-4B',
    dataset: 'hf:Gen-Verse/Open-AgentRL-30K',
  });
  const sft = run(
    'sft',
    { method: 'sft', model: 'hf:Qwen/Qwen3-0.6B', dataset: 'hf:Gen-Verse/Open-AgentRL-SFT-3K' },
    115,
  );
  return run('sod', { method: 'sod', model: sft, teacher, dataset: join(root, 'problems.jsonl'), sod: { delta: 0.5 } });
}

const shop: KeptEvaluation = {
  kind: 'world',
  name: 'shop',
  title: 'shop',
  tasks: 100,
  settings: { samples: 32, runs: 1, temperature: 1, topP: 0.6, maxTurns: 16, maxResponseTokens: 320, seed: 0 },
  average: 0.84875,
  deviation: 0.03,
  passAtK: 0.9,
  majorityAtK: 0.86,
  toolTurns: 5.25,
  toolSuccessRate: 0.855,
  responseTokens: 200.4,
};
const aime: KeptEvaluation = {
  ...shop,
  kind: 'benchmark',
  name: 'aime24',
  title: 'AIME 2024',
  dataset: { name: 'Gen-Verse/Open-AgentRL-Eval', file: 'aime2024/aime_2024_problems.parquet' },
  tasks: 30,
  settings: { ...shop.settings, runs: 5, maxPromptTokens: 4096, equivalence: 'exact', testTimeoutMs: 10_000 },
  majorityAtK: undefined,
};

const cardOf = async (checkpoint: string, options = {}) => modelCard(await cardFacts(checkpoint, options));

describe('the card of a run', () => {
  test('follows the models to the first one, stage by stage', async () => {
    const card = await cardOf(pipeline(), { name: 'org/student', license: 'apache-2.0' });
    expect(metadataOf(card)).toEqual({
      license: 'apache-2.0',
      base_model: 'Qwen/Qwen3-0.6B',
      base_model_relation: 'finetune',
      library_name: 'transformers',
      pipeline_tag: 'text-generation',
      tags: ['sod', 'on-policy-distillation', 'tool-use', 'agent'],
      datasets: ['Gen-Verse/Open-AgentRL-SFT-3K'],
    });
    expect(card).toContain('| Stages | SFT → SOD |');
    expect(card).toContain(
      '| Teacher | a model trained by GRPO from [Qwen/Qwen3-4B](https://huggingface.co/Qwen/Qwen3-4B) |',
    );
    const stages = card.split('### ').filter(section => /^\d\. /.test(section));
    expect(stages[0]).toMatch(
      /^1\. Supervised fine-tuning[\s\S]*Open-AgentRL-SFT-3K\)[\s\S]*; 115 updates\.\n[\s\S]*epochs: 5/,
    );
    expect(stages[1]).toMatch(/^2\. SOD: [\s\S]*problems\.jsonl[\s\S]*; 12 updates, with 64 prompts[\s\S]*delta: 0\.5/);
    expect(card).toContain('### The teacher');
    expect(card).toContain('2605.07725');
    // Where things lie on this machine is nobody's business.
    expect(card).not.toContain(root);
    expect(card).not.toContain('- how the model');
  });

  test('does not say where a teacher was served', async () => {
    const card = await cardOf(run('taught', { method: 'sod', init, teacher: 'http://gpu-7.example:8000/v1#private' }));
    expect(card).toContain('| Teacher | a model on a server, whose making is not recorded |');
    expect(card).not.toMatch(/gpu-7|private/);
  });

  test('says of random weights that they are', async () => {
    const final = run('fresh', { method: 'sft', init, world: '/home/me/my-world.mjs' });
    const card = await cardOf(final);
    expect(card).toContain('| Base model | random weights (5 layers of width 48) |');
    expect(card).toContain('of the world my-world.mjs; 12 updates.');
    expect(metadataOf(card)).not.toHaveProperty('base_model');
    expect(metadataOf(card).tags).not.toContain('on-policy-distillation');
    expect(card).not.toContain('/home/me');
  });

  test('names a method of the author’s own by its file, and does not run it', async () => {
    const card = await cardOf(run('own', { method: '/home/me/corrective.mjs', init, training: { iterations: 3 } }));
    expect(card).toContain('| Stages | corrective.mjs |');
    expect(card).toContain('### 1. A method of its own (corrective.mjs)');
    expect(card).toContain('method: corrective.mjs');
    expect(card).not.toContain('/home/me');
  });

  test('says where the trail is lost, and then believes the recipe', async () => {
    const recipe = { method: 'opsd-gt', model: join(root, 'gone', 'final') } as const;
    const lost = await cardOf(run('lost', recipe));
    expect(metadataOf(lost)).not.toHaveProperty('base_model');
    expect(lost).toContain('a local model, gone, whose making is not recorded');
    expect(lost).toContain('- how the model that training began with (gone) was made');
    expect(lost).toContain('| Teacher | the model itself, before the last stage |');
    const told = await cardOf(run('told', { ...recipe, base: 'hf:Qwen/Qwen3-0.6B' }));
    expect(metadataOf(told).base_model).toBe('Qwen/Qwen3-0.6B');
    expect(told).toContain('as its recipe says');
  });

  test('knows a checkpoint from a final model', async () => {
    const final = run('running', { method: 'sft', init });
    const checkpoint = model(join(final, '..', 'checkpoints', '000007'));
    const card = await cardOf(checkpoint);
    expect(card).toContain('# running-000007');
    expect(card).toContain('; 7 updates, before the end of the run.');
  });

  test('ends where recipes name each other', async () => {
    const final = join(root, 'circle', 'final');
    run('circle', { method: 'sft', model: final });
    expect(await cardOf(final)).toContain('| Stages | SFT |');
  });
});

test('the GGUF file that a card tells how to make is the one that it tells how to run', async () => {
  const card = await cardOf(pipeline(), { name: 'org/student' });
  const made = /npx sod export student --out (\S+\.gguf)`/.exec(card)![1];
  expect(card).toContain(`llama-server -m ${made} --jinja`);
  expect(card).toContain(`docker model package --gguf "$PWD/${made}" student`);
});

test('a card of adapters says of which model they are, and how they were trained', async () => {
  const base = model(join(root, 'base'));
  const final = run('adapters', { method: 'grpo', model: base, lora: { rank: 2, targets: ['q_proj'] } });
  rmSync(final, { recursive: true });
  const lora = { rank: 2, alpha: 32, targets: ['q_proj'] as const };
  const { config, close } = readCheckpoint(base);
  close();
  const tensors = [...factorShapes(config, lora)].map(([name, shape]) => ({
    name,
    dtype: 'F32' as const,
    shape,
    read: () => new Float32Array(shape[0] * shape[1]),
  }));
  await writeAdapter(final, { lora, tensors, base, baseDigest: weightsDigest(base) });
  const facts = await cardFacts(final);
  const card = modelCard(facts);
  expect(card).toContain('| Adapters | LoRA over a local model, base, rank 2, alpha 32, on q\\_proj |');
  expect(card).toMatch(/lora:\n {2}rank: 2\n/);
  expect(metadataOf(card)).toMatchObject({ library_name: 'peft' });
  expect(card).not.toContain(root);

  const onHub = modelCard({ ...facts, adapter: { ...facts.adapter!, base: 'Qwen/Qwen3-0.6B', isOnHub: true } });
  expect(metadataOf(onHub)).toMatchObject({ base_model: 'Qwen/Qwen3-0.6B', base_model_relation: 'adapter' });
  const pushed = spawnSync(process.execPath, [cli, 'push', 'org/mine', final, '--dry-run'], { encoding: 'utf8' });
  expect(pushed.status).toBe(1);
  expect(pushed.stderr).toMatch(/holds adapters of a model that others do not have, base: push the whole model/);
});

test('of a folder without a run, a card says what it cannot know', async () => {
  const card = await cardOf(model(join(root, 'somebody')));
  expect(metadataOf(card)).toEqual({ library_name: 'transformers', pipeline_tag: 'text-generation' });
  expect(card).toContain('- how the model was trained, on what, and from which base model');
  expect(card).toContain('- its licence');
  expect(card).not.toMatch(/distillation|Trained with sod|bibtex|Base model|Teacher/);
});

test('what is no folder of a model is refused, with the one that may be meant', async () => {
  const final = run('mine', { method: 'sft', init });
  await expect(cardFacts(join(final, '..'))).rejects.toThrow(`its model is ${final}`);
  await expect(cardFacts('hf:org/name')).rejects.toThrow('is on the Hub');
  await expect(cardFacts(join(root, 'no'))).rejects.toThrow('no such file or folder');
  await expect(cardFacts(root)).rejects.toThrow('holds no model');
});

describe('results', () => {
  test('are in the metadata as the Hub wants them, and in the text with their settings', async () => {
    const final = pipeline();
    await keepEvaluations(final, [shop, aime]);
    const card = await cardOf(final, { name: 'org/student' });
    const [{ name, results }] = metadataOf(card)['model-index']!;
    expect(name).toBe('org/student');
    expect(results.map(({ dataset }) => dataset.type)).toEqual(['shop', 'Gen-Verse/Open-AgentRL-Eval']);
    expect(results[0].metrics).toEqual([
      { type: 'accuracy', value: 84.88, name: 'average@32, percent' },
      { type: 'pass@32', value: 90, name: 'pass@32, percent' },
      { type: 'maj@32', value: 86, name: 'maj@32, percent' },
    ]);
    expect(results[1].metrics).toHaveLength(2);
    expect(results[0].dataset.args).toMatchObject({ tasks: 100, samples: 32, temperature: 1, topP: 0.6 });
    expect(card).toContain('| shop | 100 | 84.88 | 3.00 | 90.00 | 86.00 | 85.50 |');
    expect(card).toContain('| AIME 2024 | 30 | 84.88 | 3.00 | 90.00 | – | 85.50 |');
    expect(card).toMatch(
      /- shop: 100 held-out tasks; 32 samples each; temperature 1, top-p 0\.6; .*standard error over tasks/,
    );
    expect(card).toMatch(
      /- AIME 2024: 30 problems; .*; 32 samples each in each of 5 runs; .*standard deviation over the runs/,
    );
  });

  test('measured again replace the old ones, with other settings stand beside them', async () => {
    const final = model(join(root, 'again'));
    await keepEvaluations(final, [shop]);
    await keepEvaluations(final, [{ ...shop, average: 0.5 }]);
    await keepEvaluations(final, [{ ...shop, settings: { ...shop.settings, seed: 1 } }]);
    const { evaluations } = await evaluationsOf(final);
    expect(evaluations.map(({ average, settings }) => [average, settings.seed])).toEqual([
      [0.5, 0],
      [0.84875, 1],
    ]);
  });

  test('of a GGUF file are kept beside it, as long as its bytes are the same', async () => {
    const file = join(root, 'model.gguf');
    writeFileSync(file, 'GGUF one');
    await keepEvaluations(file, [shop]);
    expect((await evaluationsOf(file)).evaluations).toMatchObject([{ name: 'shop' }]);
    writeFileSync(file, 'GGUF two');
    expect(await evaluationsOf(file)).toEqual({ evaluations: [], ofOthers: 1 });
  });

  test('of other weights are left out, and that is said', async () => {
    const final = pipeline();
    await keepEvaluations(final, [shop]);
    writeCard(join(final, 'README.md'), await cardOf(final));
    writeFileSync(join(final, 'LICENSE.txt'), 'MIT');
    expect(await evaluationsOf(final)).toMatchObject({ ofOthers: 0 });
    cpSync(fileURLToPath(new URL('../vectors/qwen3-tiny-untied', import.meta.url)), final, { recursive: true });
    const card = await cardOf(final);
    expect(card).not.toContain('84.88');
    expect(card).toContain('The 1 evaluation kept beside the model is of other weights and left out.');
    expect(metadataOf(card)).not.toHaveProperty('model-index');
    await keepEvaluations(final, [aime]);
    expect((await evaluationsOf(final)).evaluations.map(({ name }) => name)).toEqual(['aime24']);
  });

  test('that cannot be read are refused', async () => {
    const final = model(join(root, 'damaged'));
    writeFileSync(evaluationsFile(final), '{"model": "x", "evaluations": [{"average": 7}]}');
    await expect(cardFacts(final)).rejects.toThrow(/damaged\.evaluations\.json: not what sod eval keeps/);
  });
});

describe('the file', () => {
  test('is overwritten as long as nobody else had a hand in it', () => {
    const file = join(root, 'README.md');
    writeCard(file, '---\nlicense: mit\n---\n# One\n');
    writeCard(file, '---\nlicense: mit\n---\n# Two\n');
    expect(readFileSync(file, 'utf8')).toContain('# Two');
    expect(licenseOf(readFileSync(file, 'utf8'))).toBe('mit');
    appendFileSync(file, 'My words.\n');
    expect(() => writeCard(file, '# Three\n')).toThrow('was not written by sod card, or was edited since: --force');
    writeFileSync(file, readFileSync(file, 'utf8').replace('My words.\n', '').replace('# Two', '# 2'));
    expect(() => writeCard(file, '# Three\n')).toThrow('--force');
    writeCard(file, '# Three\n', true);
    expect(readFileSync(file, 'utf8')).toContain('# Three');
  });
});

test('sod eval keeps what sod card tells, of the same weights', { timeout: 120_000 }, () => {
  const sod = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...args], {
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  };
  const folder = join(root, 'tiny');
  expect(sod('init', folder).status).toBe(0);
  expect(sod('card', folder).stderr).toContain(`It has no results: sod eval ${folder} measures the model`);
  const sampling = ['--samples', '2', '--max-tokens', '8'];
  expect(sod('eval', folder, '--tasks', 'shop:3', ...sampling).stderr).not.toContain('not kept');
  const problems = join(root, 'problems.jsonl');
  writeFileSync(problems, '{"prompt": "How many?", "answer": "4"}\n');
  const out = join(root, 'out');
  expect(sod('eval', folder, '--benchmark', `mine=${problems}`, '--out', out, '--json', ...sampling).status).toBe(0);

  const { status, stdout } = sod('card', folder, '--name', 'org/tiny', '--license', 'mit');
  expect({ status, stdout }).toEqual({ status: 0, stdout: `The model card is ${join(folder, 'README.md')}\n` });
  const card = readFileSync(join(folder, 'README.md'), 'utf8');
  expect(card).toContain('| shop | 3 | 0.00 |');
  expect(card).toMatch(/^- mine: 1 problem; 2 samples each; .*answers compared by their text/m);
  expect(card).not.toContain(root);
  expect(metadataOf(card)['model-index']![0].results).toHaveLength(2);

  rmSync(join(folder, 'README.md'));
  expect(sod('card', folder, '--license', 'Apache 2.0').stderr).toContain('in small letters, such as apache-2.0');
  expect(sod('card', folder, '--out', join(root, 'card.md')).status).toBe(0);
  expect(existsSync(join(folder, 'README.md'))).toBe(false);
});
