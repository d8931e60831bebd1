/** Inputs that are as they should be: what is mutated. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parquetWriteFile } from 'hyparquet-writer';
import { readCheckpoint, writeCheckpoint } from '../../src/checkpoint/checkpoint.ts';
import { readGgufHeader } from '../../src/gguf/header.ts';
import { writeGguf } from '../../src/gguf/write.ts';
import { tensorShapes } from '../../src/model/config.ts';
import { elements } from '../../src/model/safetensors.ts';
import { Random } from '../../src/random.ts';
import { freshConfig } from '../../src/train/initialize.ts';
import { trainBpe } from '../../src/worlds/bpe.ts';
import { tokenizerFiles } from '../../src/worlds/qwen3Format.ts';

const shape = {
  hiddenSize: 32,
  intermediateSize: 32,
  layers: 1,
  heads: 2,
  kvHeads: 1,
  headDim: 16,
  tieEmbeddings: true,
};

export interface WholeInputs {
  /** A model's folder, in Hugging Face layout. */
  model: string;
  gguf: string;
  /** Bytes of the GGUF file before the values of its tensors. */
  ggufHeaderBytes: number;
  recipe: string;
  comparison: string;
  problems: string;
  parquet: string;
  prompts: string;
}

/** Writes them into `folder`. */
export async function writeWholeInputs(folder: string): Promise<WholeInputs> {
  mkdirSync(folder, { recursive: true });
  const path = (name: string) => join(folder, name);
  const inputs = {
    model: path('model'),
    gguf: path('model.gguf'),
    recipe: path('recipe.yaml'),
    comparison: path('compare.yaml'),
    problems: path('problems.jsonl'),
    prompts: path('prompts.yaml'),
    parquet: path('problems.parquet'),
  };
  await writeModel(inputs.model);
  const checkpoint = readCheckpoint(inputs.model);
  await writeGguf(inputs.gguf, checkpoint, { name: 'whole' });
  checkpoint.close();
  writeFileSync(inputs.recipe, recipe(inputs.model));
  writeFileSync(inputs.comparison, comparison);
  writeFileSync(
    inputs.problems,
    '{"prompt": "One and one?", "answer": "2"}\n{"prompt": "Two and two?", "answer": "4"}\n',
  );
  const texts = (name: string, data: string[]) => ({ name, data, type: 'STRING' as const });
  const columns = [texts('prompt', ['One and one?', 'Two and two?']), texts('answer', ['2', '4'])];
  parquetWriteFile({ filename: inputs.parquet, columnData: columns });
  writeFileSync(inputs.prompts, 'math: "Solve: {problem}"\nquestion: "{problem}"\n');
  const { tensors } = readGgufHeader(inputs.gguf);
  return { ...inputs, ggufHeaderBytes: Math.min(...tensors.map(({ offset }) => offset)) };
}

async function writeModel(folder: string): Promise<void> {
  const { files, vocabularySize } = tokenizerFiles(trainBpe(new Map([['one', 9]]), { size: 260 }), []);
  const config = freshConfig(shape, vocabularySize, [256, 258]);
  const tensors = [...tensorShapes(config)].map(([name, shape]) => ({
    name,
    dtype: 'F32' as const,
    shape,
    read: () => new Float32Array(elements(shape)).map(() => 0.1 * Random.of(name).normal()),
  }));
  await writeCheckpoint(folder, config, tensors, {
    extra(path) {
      for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), JSON.stringify(content));
    },
  });
}

const recipe = (model: string) => `method: sod
model: ${model}
teacher: ${model}
world: shop
rollout: { groupSize: 2, maxResponseTokens: 8, maxTurns: 1, temperature: 1, topP: 1 }
training: { iterations: 1, promptsPerIteration: 2, promptsPerUpdate: 2 }
optimizer: { learningRate: 1e-4, betas: [0.9, 0.999], warmup: 0 }
engine: { threads: 1, cacheBytes: 16777216 }
save: { every: 1 }
`;

const comparison = `stages:
  teacher: { recipe: recipe.yaml }
  student: { recipe: recipe.yaml, teacher: teacher }
student: student
teacher: teacher
recipe: recipe.yaml
seeds: [1]
methods: { sod: { method: sod }, opd: { method: opd } }
eval: { tasks: 2, k: 1, temperature: 1, topP: 1, maxTurns: 1, maxResponseTokens: 8 }
`;
