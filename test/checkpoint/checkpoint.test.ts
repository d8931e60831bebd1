import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Checkpoint, readCheckpoint, writeCheckpoint } from '../../src/checkpoint/checkpoint.ts';
import { UserError } from '../../src/errors.ts';
import { parseConfig, tensorShapes } from '../../src/model/config.ts';
import { bytesPerElement, type Dtype } from '../../src/model/dtype.ts';
import { elements, SafetensorsFile, type StoredTensor, writeSafetensors } from '../../src/model/safetensors.ts';

const vectors = ['qwen3-tiny-tied', 'qwen3-tiny-untied'].map(name =>
  fileURLToPath(new URL(`../vectors/${name}`, import.meta.url)),
);
const [tied, untied] = vectors;

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sod-checkpoint-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

/** Every tensor's stored bytes by name. */
function bytes(path: string): Record<string, string> {
  const file = readFileSync(path);
  const dataStart = 8 + Number(file.readBigUInt64LE());
  const { __metadata__: _, ...header } = JSON.parse(file.toString('utf8', 8, dataStart));
  return Object.fromEntries(
    Object.entries<{ data_offsets: [number, number] }>(header).map(
      ([
        name,
        {
          data_offsets: [begin, end],
        },
      ]) => {
        return [name, file.toString('hex', dataStart + begin, dataStart + end)];
      },
    ),
  );
}

async function copy(from: string, to: string, change: (tensor: StoredTensor) => StoredTensor = t => t): Promise<void> {
  await withCheckpoint(readCheckpoint(from), ({ config, tensors }) =>
    writeCheckpoint(to, config, tensors.map(change), { from }),
  );
}

async function withCheckpoint<T>(checkpoint: Checkpoint, use: (checkpoint: Checkpoint) => T): Promise<Awaited<T>> {
  try {
    return await use(checkpoint);
  } finally {
    checkpoint.close();
  }
}

describe('load and save', () => {
  it.each(vectors)('%s keeps every bit of every tensor', async source => {
    await copy(source, join(dir, 'copy'));
    expect(bytes(join(dir, 'copy/model.safetensors'))).toEqual(bytes(join(source, 'model.safetensors')));
    const saved = JSON.parse(readFileSync(join(dir, 'copy/config.json'), 'utf8'));
    expect(saved).toEqual(JSON.parse(readFileSync(join(source, 'config.json'), 'utf8')));
  });

  it.each<Dtype>(['F32', 'F16', 'BF16'])(
    '%s: save, load, save is bit-identical for the bits of any numbers',
    async dtype => {
      const config = parseConfig({
        ...JSON.parse(readFileSync(join(tied, 'config.json'), 'utf8')),
        ...{ hidden_size: 4, num_hidden_layers: 1, num_attention_heads: 2, num_key_value_heads: 1, head_dim: 2 },
        ...{ intermediate_size: 3, vocab_size: 5 },
      });
      const shapes = [...tensorShapes(config)];
      const length = shapes.reduce((total, [, shape]) => total + elements(shape), 0);
      const first = join(dir, 'first');
      await fc.assert(
        fc.asyncProperty(fc.uint8Array({ minLength: length * 4, maxLength: length * 4 }), async random => {
          // Raw bits of the dtype, laid out as a file; a bit of the exponent is cleared where all would be infinity or NaN.
          const size = bytesPerElement[dtype];
          const values = random.map((byte, i) => (i % size === size - 1 ? byte & 0xbf : byte));
          const header: Record<string, unknown> = {};
          let end = 0;
          for (const [name, shape] of shapes) {
            const begin = end;
            end += elements(shape) * size;
            header[name] = { dtype, shape, data_offsets: [begin, end] };
          }
          const json = Buffer.from(JSON.stringify(header));
          const prefix = Buffer.alloc(8);
          prefix.writeBigUInt64LE(BigInt(json.length));
          mkdirSync(first, { recursive: true });
          writeFileSync(join(first, 'config.json'), JSON.stringify(config.raw));
          writeFileSync(join(first, 'model.safetensors'), Buffer.concat([prefix, json, values.subarray(0, end)]));

          await copy(first, join(dir, 'second'));
          await copy(join(dir, 'second'), join(dir, 'third'));
          const [a, b, c] = ['first', 'second', 'third'].map(name => join(dir, name, 'model.safetensors'));
          expect(bytes(b)).toEqual(bytes(a));
          expect(readFileSync(c).equals(readFileSync(b))).toBe(true);
        }),
        { numRuns: 10 },
      );
    },
  );

  it('names the stored dtype in config.json, under the key that the config uses', async () => {
    const target = join(dir, 'half');
    const saved = () => JSON.parse(readFileSync(join(target, 'config.json'), 'utf8'));
    await copy(tied, target, tensor => ({ ...tensor, dtype: 'BF16' }));
    expect(saved().torch_dtype).toBe('bfloat16');

    const { torch_dtype: _, ...rest } = saved();
    writeFileSync(join(target, 'config.json'), JSON.stringify({ ...rest, dtype: 'bfloat16' }));
    await copy(target, target, tensor => ({ ...tensor, dtype: 'F16' }));
    expect(saved()).toEqual({ ...rest, dtype: 'float16' });
  });

  it('carries tokenizer files along, also over itself, and lets the caller add files', async () => {
    const model = join(dir, 'model');
    await copy(tied, model);
    writeFileSync(join(model, 'tokenizer.json'), '{"a":"é"}');
    writeFileSync(join(model, 'generation_config.json'), '{}');
    const moment: StoredTensor = { name: 'adam.m', dtype: 'F32', shape: [2], read: () => Float32Array.of(1, 2) };
    await withCheckpoint(readCheckpoint(model), ({ config, tensors }) =>
      writeCheckpoint(model, config, tensors, {
        from: model,
        extra: folder => writeSafetensors(join(folder, 'optimizer.safetensors'), [moment]),
      }),
    );
    expect(readdirSync(model).sort()).toEqual(
      ['config.json', 'generation_config.json', 'model.safetensors', 'optimizer.safetensors', 'tokenizer.json'].sort(),
    );
    expect(readFileSync(join(model, 'tokenizer.json'), 'utf8')).toBe('{"a":"é"}');
    const optimizer = SafetensorsFile.open(join(model, 'optimizer.safetensors'));
    expect([...optimizer.tensors.get('adam.m')!.read()]).toEqual([1, 2]);
    optimizer.close();
  });
});

describe('a save that does not finish', () => {
  it('leaves the old checkpoint and nothing else', async () => {
    const model = join(dir, 'model');
    await copy(tied, model);
    const before = bytes(join(model, 'model.safetensors'));
    const failing = withCheckpoint(readCheckpoint(untied), ({ config, tensors }) =>
      writeCheckpoint(model, config, tensors, {
        extra: () => {
          throw new Error('disk full');
        },
      }),
    );
    await expect(failing).rejects.toThrow('disk full');
    expect(readdirSync(dir)).toEqual(['model']);
    expect(bytes(join(model, 'model.safetensors'))).toEqual(before);
  });

  it('is survived between the two renames: the old checkpoint is read, and the next save goes through', async () => {
    const model = join(dir, 'model');
    await copy(tied, model);
    renameSync(model, join(dir, '.model.old'));
    await withCheckpoint(readCheckpoint(model), ({ dir: found, tensors }) => {
      expect(existsSync(join(found, 'config.json'))).toBe(true);
      expect(tensors.length).toBe(tensorShapes(readConfig(tied)).size);
    });
    await copy(model, model);
    expect(readdirSync(dir)).toEqual(['model']);
  });

  it('is refused where it would delete files that are not a checkpoint', async () => {
    writeFileSync(join(dir, 'thesis.txt'), 'years of work');
    await expect(copy(tied, dir)).rejects.toThrow(/holds other files/);
    expect(readdirSync(dir)).toEqual(['thesis.txt']);
  });
});

function readConfig(model: string) {
  return parseConfig(JSON.parse(readFileSync(join(model, 'config.json'), 'utf8')));
}

describe('readCheckpoint', () => {
  it('reads shards named by an index', async () => {
    const model = join(dir, 'sharded');
    mkdirSync(model);
    cpSync(join(untied, 'config.json'), join(model, 'config.json'));
    await withCheckpoint(readCheckpoint(untied), ({ tensors }) => {
      const shards = { 'a.safetensors': tensors.slice(0, 7), 'b.safetensors': tensors.slice(7) };
      const weightMap: Record<string, string> = {};
      for (const [name, part] of Object.entries(shards)) {
        writeSafetensors(join(model, name), part);
        for (const tensor of part) weightMap[tensor.name] = name;
      }
      writeFileSync(join(model, 'model.safetensors.index.json'), JSON.stringify({ weight_map: weightMap }));
    });
    await copy(model, join(dir, 'whole'));
    expect(bytes(join(dir, 'whole/model.safetensors'))).toEqual(bytes(join(untied, 'model.safetensors')));

    rmSync(join(model, 'b.safetensors'));
    expect(() => readCheckpoint(model)).toThrow(/is incomplete: b\.safetensors is missing/);
  });

  it('ignores the LM head that a tied model stores once more', async () => {
    const head = { name: 'lm_head.weight', dtype: 'F32' as const, shape: [320, 64] };
    const model = join(dir, 'redundant');
    await withCheckpoint(readCheckpoint(tied), ({ config, tensors }) =>
      writeCheckpoint(model, config, [...tensors, { ...head, read: () => new Float32Array(320 * 64) }]),
    );
    await withCheckpoint(readCheckpoint(model), ({ tensors }) => {
      expect(tensors.map(tensor => tensor.name)).toEqual([...tensorShapes(readConfig(tied)).keys()]);
    });
  });

  it('names a few of the tensors that do not fit the config', async () => {
    const model = join(dir, 'wrong');
    const zeros = (name: string, shape: number[]): StoredTensor => {
      return { name, dtype: 'F32', shape, read: () => new Float32Array(elements(shape)) };
    };
    await withCheckpoint(readCheckpoint(tied), ({ config, tensors }) =>
      writeCheckpoint(model, config, [
        ...tensors.filter(tensor => !tensor.name.includes('layers.1') && tensor.name !== 'model.norm.weight'),
        zeros('model.norm.weight', [63]),
        zeros('visual.weight', [1]),
      ]),
    );
    expect(() => readCheckpoint(model)).toThrow(UserError);
    expect(() => readCheckpoint(model)).toThrow(
      /missing: model\.layers\.1\.\S+, \S+, \S+ and 8 more; not part of the model: visual\.weight; of another shape: model\.norm\.weight \(\[63\], not \[64\]\)$/,
    );
  });

  it('says what it expected in a folder without a model', () => {
    expect(() => readCheckpoint(join(dir, 'nowhere'))).toThrow(UserError);
    expect(() => readCheckpoint(dir)).toThrow(/holds no model: expected config\.json and model\.safetensors/);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('names the tensor with a value of %d, when it is read', value => {
    cpSync(tied, join(dir, 'model'), { recursive: true });
    const path = join(dir, 'model/model.safetensors');
    const checkpoint = readCheckpoint(tied);
    const tensors = checkpoint.tensors.map(tensor => ({
      ...tensor,
      read: () => (tensor.name === 'model.norm.weight' ? tensor.read().fill(value, 5, 6) : tensor.read()),
    }));
    writeSafetensors(path, tensors);
    checkpoint.close();
    const { tensors: read, close } = readCheckpoint(join(dir, 'model'));
    const norm = read.find(({ name }) => name === 'model.norm.weight')!;
    expect(() => norm.read()).toThrow(UserError);
    expect(() => norm.read()).toThrow(new RegExp(`value 5 of tensor model\\.norm\\.weight is ${value}: `));
    for (const tensor of read) if (tensor !== norm) tensor.read();
    close();
  });

  it('refuses a tensor that two files have', () => {
    cpSync(tied, join(dir, 'model'), { recursive: true });
    cpSync(join(tied, 'model.safetensors'), join(dir, 'model/second.safetensors'));
    renameSync(join(dir, 'model/model.safetensors'), join(dir, 'model/first.safetensors'));
    const weight_map = { a: 'first.safetensors', b: 'second.safetensors' };
    writeFileSync(join(dir, 'model/model.safetensors.index.json'), JSON.stringify({ weight_map }));
    expect(() => readCheckpoint(join(dir, 'model'))).toThrow(/tensor \S+ is in two of its files/);
  });

  it('names the config that is not JSON', () => {
    cpSync(tied, join(dir, 'model'), { recursive: true });
    writeFileSync(join(dir, 'model/config.json'), '{');
    expect(() => readCheckpoint(join(dir, 'model'))).toThrow(/config\.json: not valid JSON/);
  });
});
