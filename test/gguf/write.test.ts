import { readdirSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { GGMLQuantizationType, gguf } from '@huggingface/gguf';
import { expect, test } from 'vitest';
import { readCheckpoint, writeCheckpoint } from '../../src/checkpoint/checkpoint.ts';
import { readShape } from '../../src/checkpoint/shape.ts';
import { type Metadata, type TensorToWrite, writeGgufFile } from '../../src/gguf/file.ts';
import { ggufName } from '../../src/gguf/names.ts';
import { readGgufTokenizer } from '../../src/gguf/tokenizer.ts';
import { writeGguf } from '../../src/gguf/write.ts';
import { elements, writeValues } from '../../src/model/safetensors.ts';
import { loadChat } from '../../src/text/loadChat.ts';
import { initializeCheckpoint } from '../../src/train/initialize.ts';
import { openWorld } from '../../src/worlds/open.ts';
import { temporaryFolder, writeTinyModel } from '../engine/tinyModel.ts';

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
  expect(readGgufTokenizer(file).endTokenIds.map(id => tokens[id])).toEqual(['<|im_end|>']);
  expect(['eos', 'padding', 'bos'].map(named)).toEqual(['<|im_end|>', '<|endoftext|>', '<|endoftext|>']);

  expect(tensorInfos).toHaveLength(checkpoint.tensors.length);
  const byName = new Map(tensorInfos.map(info => [info.name, info]));
  const query = byName.get('blk.1.attn_q.weight')!;
  expect(query.shape.map(Number)).toEqual([32, 32]);
  expect(query.dtype).toBe(GGMLQuantizationType.F32);
  const bytes = checkpoint.tensors.reduce((sum, tensor) => sum + elements(tensor.shape) * 4, 0);
  expect(statSync(file).size - Number(tensorDataOffset)).toBe(bytes);
  checkpoint.close();

  // What is trained from the file is a folder with its tokenizer and template.
  const [again, copy] = [readCheckpoint(file), join(folder, 'copy')];
  await writeCheckpoint(copy, again.config, again.tensors, { from: file });
  again.close();
  expect(readShape(file)).toEqual(again.config);
  expect(readShape(join(folder, 'none.gguf'))).toBeUndefined();
  const prompt = (path: string) => loadChat(path).prompt([{ role: 'user', content: 'Hi' }], []);
  expect(prompt(copy)).toEqual(prompt(model));
});

test('a file that asks for what is not computed, or is not whole, is refused by name', async () => {
  const folder = temporaryFolder();
  const [model, file] = [await writeTinyModel(join(folder, 'model')), join(folder, 'model.gguf')];
  const { config, tensors, close } = readCheckpoint(model);
  const metadata: Metadata = [
    ['general.architecture', 'string', 'qwen3'],
    ['qwen3.block_count', 'u32', config.layers],
    ['qwen3.context_length', 'u32', config.maxPositions],
    ['qwen3.embedding_length', 'u32', config.hiddenSize],
    ['qwen3.feed_forward_length', 'u32', config.intermediateSize],
    ['qwen3.attention.head_count', 'u32', config.heads],
    ['qwen3.attention.head_count_kv', 'u32', config.kvHeads],
    ['qwen3.attention.key_length', 'u32', config.headDim],
  ];
  const written = tensors.map(
    (tensor): TensorToWrite => ({
      name: ggufName(tensor.name),
      shape: tensor.shape,
      type: 'F32',
      write: fd => writeValues(fd, tensor),
    }),
  );
  const reading = async (more: Metadata, others: TensorToWrite[] = []) => {
    await writeGgufFile(file, [...metadata, ...more], [...written, ...others]);
    const checkpoint = readCheckpoint(file);
    checkpoint.close();
    return checkpoint.tensors.length;
  };
  expect(await reading([])).toBe(tensors.length);
  expect(await reading([['qwen3.rope.scaling.type', 'string', 'none']])).toBe(tensors.length);
  const refused: [Metadata, RegExp][] = [
    [[['qwen3.rope.scaling.type', 'string', 'longrope']], /rope\.scaling\.type is "longrope"/],
    [[['qwen3.rope.scaling.factor', 'f32', 0.5]], /rope_scaling: factor/],
    [[['qwen3.rope.dimension_count', 'u32', 6]], /qwen3\.rope\.dimension_count is 6; supported: 12/],
    [
      [
        ['split.no', 'u32', 1],
        ['split.count', 'u32', 3],
      ],
      /is part 2 of 3 of a model: join them/,
    ],
    [[metadata[0]], /damaged: it says general\.architecture twice/],
  ];
  for (const [more, message] of refused) await expect(reading(more)).rejects.toThrow(message);
  const bias: TensorToWrite = { ...written.at(-1)!, name: 'blk.0.attn_q.bias' };
  await expect(reading([], [bias])).rejects.toThrow('not part of a Qwen3 model: blk.0.attn_q.bias');
  const biased = readCheckpoint(await writeTinyModel(join(folder, 'biased'), 1, { attention_bias: true }));
  await expect(writeGguf(file, biased, { name: 'biased' })).rejects.toThrow(/whose attention_bias is true cannot be/);
  biased.close();
  await expect(reading([], [written[0]])).rejects.toThrow(`has tensor ${written[0].name} twice`);
  close();
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
