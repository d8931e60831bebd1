import type { Device } from '../device.ts';
import { adamwKernels } from './adamw.ts';
import { attentionKernels } from './attention.ts';
import { cachedAttentionKernels } from './cachedAttention.ts';
import type { Gpu } from './gpu.ts';
import { linearKernels } from './linear.ts';
import { lmHeadKernels } from './lmHead.ts';
import { elementsOf, GpuMemory } from './memory.ts';
import { normKernels } from './norm.ts';
import { ropeKernels } from './rope.ts';
import { rowKernels } from './rows.ts';
import { samplingKernels } from './sampling.ts';
import { swigluKernels } from './swiglu.ts';
import { topTokenKernels } from './topTokens.ts';

/**
 * The list of kernels in WGSL, all in f32. Sums have one order, so that results repeat, bit for bit. Weights lie in memory once, as
 * they are stored: packing one is another name for it.
 */
export function gpuDevice(gpu: Gpu): Device {
  const memory = new GpuMemory(gpu);
  return {
    isa: 'webgpu',
    withOneThread: body => body(),
    allocate: (dtype, shape) => memory.allocate(dtype, shape),
    view: (tensor, offset, shape) => memory.view(tensor, offset, shape),
    release: id => memory.release(id),
    zero: id => memory.zero(memory.get(id)),
    write: (id, data) => memory.write(memory.get(id), data as Float32Array | Int32Array),
    read: id => memory.read(memory.get(id)),
    convert(yId, xId) {
      const [y, x] = [yId, xId].map(id => memory.get(id));
      const count = elementsOf(x.shape);
      memory.copy({ tensor: y, first: 0, count }, { tensor: x, first: 0, count });
    },
    trim: () => memory.trim(),
    pack: (w, _bf16, isBackward, chunkRows) => memory.pack(w, isBackward, chunkRows),
    repack() {},
    blockMatrix() {
      throw new Error('the GPU holds no weights in blocks');
    },
    writeBlocks() {
      throw new Error('the GPU holds no weights in blocks');
    },
    ...linearKernels(memory),
    ...rowKernels(memory),
    ...normKernels(memory),
    ...ropeKernels(memory),
    ...attentionKernels(memory),
    ...swigluKernels(memory),
    ...lmHeadKernels(memory),
    ...cachedAttentionKernels(memory),
    ...samplingKernels(memory),
    ...topTokenKernels(memory),
    ...adamwKernels(memory),
  };
}
