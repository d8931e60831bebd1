import type { GpuMemory, GpuTensor } from './memory.ts';
import { elementAt, groupsFor, shader } from './shader.ts';

/**
 * Numbers in 16 bits, two in a word: an f32's first half, to nearest, of two as near the even one. A part of a tensor may begin or end
 * within a word, whose other half stays as it is.
 */
const roundShader = shader('to bf16', {
  writes: { halves: 'bf16' },
  reads: { floats: 'f32' },
  params: { count: 'u32' },
  before: `
fn rounded(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) { return (bits >> 16u) | 0x40u; }
  return (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
}`,
  body: `
  let word = p.halves / 2u + flat(id);
  let end = p.halves + p.count;
  if (2u * word >= end) { return; }
  var bits = halves[word];
  for (var half = 0u; half < 2u; half++) {
    let i = 2u * word + half;
    if (i >= p.halves && i < end) { bits = insertBits(bits, rounded(floats[p.floats + i - p.halves]), 16u * half, 16u); }
  }
  halves[word] = bits;`,
});

const expandShader = shader('from bf16', {
  writes: { floats: 'f32' },
  reads: { halves: 'bf16' },
  params: { count: 'u32' },
  body: `
  let i = flat(id);
  if (i < p.count) { floats[p.floats + i] = ${elementAt('halves', 'bf16', 'p.halves + i')}; }`,
});

/** to = from, of as many numbers in another precision. */
export function convert(memory: GpuMemory, to: GpuTensor, from: GpuTensor): void {
  const isRounding = to.dtype === 'bf16';
  const [floats, halves] = isRounding ? [from, to] : [to, from];
  for (const part of memory.inParts(floats)) {
    const { count } = part;
    const threads = isRounding ? Math.floor(count / 2) + 1 : count;
    const tensors = { floats: part, halves: { ...part, tensor: halves } };
    memory.run(isRounding ? roundShader : expandShader, tensors, { count }, groupsFor(threads));
  }
}

/** Numbers that are on their way as f32 at the same time. */
const writtenTogether = 1 << 22;

/** Into a tensor in bf16. */
export function writeRounded(memory: GpuMemory, to: GpuTensor, data: Float32Array): void {
  for (let first = 0; first < data.length; first += writtenTogether) {
    const part = data.subarray(first, first + writtenTogether);
    memory.temporary([part.length], floats => {
      memory.write(floats, part);
      convert(memory, { ...to, offset: to.offset + first, shape: [part.length] }, floats);
    });
  }
}

/** Of a tensor in bf16. */
export function readExpanded(memory: GpuMemory, from: GpuTensor): Float32Array {
  return memory.temporary(from.shape, floats => {
    convert(memory, floats, from);
    return memory.read(floats) as Float32Array;
  });
}
