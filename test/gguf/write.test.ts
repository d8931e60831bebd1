import { readdirSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { GGMLQuantizationType, gguf } from '@huggingface/gguf';
import { expect, test } from 'vitest';
import { type TensorToWrite, writeGgufFile } from '../../src/gguf/file.ts';
import { writeGguf } from '../../src/gguf/write.ts';
import { readCheckpoint } from '../../src/model/checkpoint.ts';
import { elements } from '../../src/model/safetensors.ts';
import { initializeCheckpoint } from '../../src/train/initialize.ts';
import { openWorld } from '../../src/worlds/open.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';

const shape = {
  hiddenSize: 32,
  intermediateSize: 48,
  layers: 2,
  heads: 2,
  kvHeads: 1,
  headDim: 16,
  tieEmbeddings: false,
};

test('a checkpoint as GGUF: shape, tokenizer and every tensor, as another reader sees them', async () => {
  const folder = temporaryFolder();
  const [model, file] = [join(folder, 'model'), join(folder, 'model.gguf')];
  const { world, close } = await openWorld('shop');
  await initializeCheckpoint(model, shape, world, 1);
  await close();
  const checkpoint = readCheckpoint(model);
  await writeGguf(file, checkpoint, { name: 'small' });

  const { metadata, tensorInfos, tensorDataOffset } = await gguf(file, { allowLocalFile: true });
  const { config } = checkpoint;
  expect(metadata).toMatchObject({
    'general.architecture': 'qwen3',
    'qwen3.block_count': 2,
    'qwen3.embedding_length': 32,
    'qwen3.attention.head_count': 2,
    'qwen3.attention.head_count_kv': 1,
    'qwen3.attention.key_length': 16,
    'qwen3.rope.freq_base': config.ropeTheta,
  });
  const tokens = (metadata as Record<string, unknown>)['tokenizer.ggml.tokens'] as string[];
  expect(tokens).toHaveLength(config.vocabSize);
  const named = (name: string) =>
    tokens[(metadata as Record<string, unknown>)[`tokenizer.ggml.${name}_token_id`] as number];
  expect(['eos', 'padding', 'bos'].map(named)).toEqual(['<|im_end|>', '<|endoftext|>', '<|endoftext|>']);

  expect(tensorInfos).toHaveLength(checkpoint.tensors.length);
  const byName = new Map(tensorInfos.map(info => [info.name, info]));
  const query = byName.get('blk.1.attn_q.weight')!;
  expect(query.shape.map(Number)).toEqual([32, 32]);
  expect(query.dtype).toBe(GGMLQuantizationType.F32);
  const bytes = checkpoint.tensors.reduce((sum, tensor) => sum + elements(tensor.shape) * 4, 0);
  expect(statSync(file).size - Number(tensorDataOffset)).toBe(bytes);
  checkpoint.close();
});

test('a file that is not wanted any more leaves nothing behind', async () => {
  const folder = temporaryFolder();
  const stop = new AbortController();
  const tensor = (name: string): TensorToWrite => ({
    name,
    shape: [8],
    type: 'F32',
    write: fd => {
      writeSync(fd, new Float32Array(8));
      if (name === 'second') stop.abort();
    },
  });
  const tensors = ['first', 'second', 'third'].map(tensor);
  const writing = writeGgufFile(join(folder, 'model.gguf'), [], tensors, { signal: stop.signal });
  await expect(writing).rejects.toThrow('aborted');
  expect(readdirSync(folder)).toEqual([]);
});
