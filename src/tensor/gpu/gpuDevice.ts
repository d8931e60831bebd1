import type { Device } from '../device.ts';
import { adamwKernels } from './adamw.ts';
import { attentionKernels } from './attention.ts';
import { convert, readExpanded, writeRounded } from './bf16.ts';
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
 * The list of kernels in WGSL, all in f32 but for weights, which may be in bf16. Sums have one order, so that results repeat, bit for bit.
 * Weights lie in memory as they are stored, for both directions: packing one is another name for it, or for its place in bf16.
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
    write(id, data) {
      const tensor = memory.get(id);
      const count = elementsOf(tensor.shape);
      if (data.length !== count) throw new Error(`data has ${data.length} elements, the tensor ${count}`);
      if (tensor.dtype === 'bf16') writeRounded(memory, tensor, data as Float32Array);
      else memory.write(tensor, data as Float32Array | Int32Array);
    },
    read(id) {
      const tensor = memory.get(id);
      return tensor.dtype === 'bf16' ? readExpanded(memory, tensor) : memory.read(tensor);
    },
    convert(yId, xId) {
      const [y, x] = [yId, xId].map(id => memory.get(id));
      if (y.dtype !== x.dtype) {
        convert(memory, y, x);
        return;
      }
      const count = elementsOf(x.shape);
      memory.copy({ tensor: y, first: 0, count }, { tensor: x, first: 0, count });
    },
    trim: () => memory.trim(),
    pack(id, bf16, isBackward, chunkRows) {
      const weight = memory.get(id);
      if (!bf16 || weight.dtype === 'bf16') return memory.pack(weight, isBackward, chunkRows);
      const rounded = memory.rounded(weight);
      const packed = memory.pack(rounded, isBackward, chunkRows);
      convert(memory, rounded, weight);
      return packed;
    },
    repack(forwardId, _backward, weightId) {
      const [forward, weight] = [forwardId, weightId].map(id => memory.get(id));
      if (forward.dtype !== weight.dtype) convert(memory, forward, weight);
    },
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
