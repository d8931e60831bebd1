import { closeSync, openSync, readSync } from 'node:fs';
import { UserError } from '../errors.ts';
import { dequantize } from '../gguf/blocks.ts';
import { type GgufHeader, type GgufTensor, readGgufHeader } from '../gguf/header.ts';
import { ggufName } from '../gguf/names.ts';
import { factorsName, withFactors } from '../gguf/rope.ts';
import { inHalves } from '../gguf/rowOrder.ts';
import { ggufConfig } from '../gguf/shape.ts';
import { storedBytes, tensorTypes } from '../gguf/tensorTypes.ts';
import { type ModelConfig, tensorShapes } from '../model/config.ts';
import { elements, type StoredBlocks, type StoredTensor } from '../model/safetensors.ts';
import { onPath } from '../systemErrors.ts';

/**
 * Opens a model in one GGUF file, quantised or not; its tensors can be read until `close`. Values of blocks are told as
 * float32, which alone holds them exactly.
 * @throws UserError when the file is damaged or holds another architecture.
 */
export function readGgufCheckpoint(path: string): { config: ModelConfig; tensors: StoredTensor[]; close(): void } {
  const header = readGgufHeader(path);
  const stored = new Map(header.tensors.map(tensor => [tensor.name, tensor]));
  const fd = onPath(path, () => openSync(path, 'r'));
  const open = (tensor: GgufTensor): StoredTensor => ({
    name: tensor.name,
    dtype: tensor.type === 'F16' || tensor.type === 'BF16' ? tensor.type : 'F32',
    shape: tensor.shape,
    ...(tensor.shape.length === 2 && { blocks: blocksOf(fd, tensor) }),
    read(into = new Float32Array(elements(tensor.shape))) {
      readValues(fd, tensor, into);
      return into;
    },
  });
  try {
    const plain = ggufConfig(path, header);
    const factors = plain.family.gguf.frequencyFactors ? stored.get(factorsName) : undefined;
    const config = factors ? withFactors(path, plain, open(factors).read()) : plain;
    const shapes = tensorShapes(config);
    const known = [...[...shapes.keys()].map(ggufName), ...(factors ? [factorsName] : [])];
    refuseOthers(path, header, config, new Set(known));
    const tensors = [...shapes].map(([name, shape]) => {
      const tensor = stored.get(ggufName(name));
      if (!tensor) throw new UserError(`${path} is incomplete: ${ggufName(name)} is missing; download it again`);
      if (`${tensor.shape}` !== `${shape}`) {
        throw new UserError(`${path}: ${tensor.name} has shape [${tensor.shape}], not [${shape}]; the file is damaged`);
      }
      return inHalves({ ...open(tensor), name }, config);
    });
    return { config, tensors, close: () => closeSync(fd) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** @throws UserError where the file has tensors that the decoder would leave out. */
function refuseOthers(
  path: string,
  { tensors }: GgufHeader,
  { family }: ModelConfig,
  known: ReadonlySet<string>,
): void {
  const others = tensors.map(({ name }) => name).filter(name => !known.has(name));
  if (others.length === 0) return;
  const shown = others.slice(0, 3).join(', ');
  throw new UserError(
    `${path} has tensors that are not part of a ${family.title} model: ${shown}${others.length > 3 ? ` and ${others.length - 3} more` : ''}`,
  );
}

function blocksOf(fd: number, { type, shape, offset }: GgufTensor): StoredBlocks {
  const rowBytes = storedBytes(type, shape[1]);
  return { type, readRows: (first, into) => readBytes(fd, into, offset + first * rowBytes) };
}

const chunkBlocks = 1 << 14;

function readValues(fd: number, { type, offset }: GgufTensor, into: Float32Array): void {
  const { values } = tensorTypes[type];
  const buffer = new Uint8Array(storedBytes(type, Math.min(into.length, chunkBlocks * values)));
  let position = offset;
  for (let done = 0; done < into.length; done += chunkBlocks * values) {
    const part = into.subarray(done, done + chunkBlocks * values);
    const bytes = buffer.subarray(0, storedBytes(type, part.length));
    readBytes(fd, bytes, position);
    dequantize(type, bytes, part);
    position += bytes.length;
  }
}

function readBytes(fd: number, into: Uint8Array, position: number): void {
  for (let done = 0; done < into.length; ) {
    const read = readSync(fd, into, done, into.length - done, position + done);
    if (read === 0) throw new UserError('a checkpoint file became shorter while it was read');
    done += read;
  }
}
