import type { Device } from '../device.ts';
import type { GpuMemory } from './memory.ts';
import {
  groupNumber,
  groupsFor,
  largestOf,
  rowsOfGroups,
  type Shader,
  shader,
  sumOf,
  threadsPerGroup,
} from './shader.ts';

const shape = { rows: 'u32', heads: 'u32', kvHeads: 'u32', page: 'u32', pages: 'u32' } as const;

/** For each row its sequence and its position there; a page holds, head by head, the keys or values of its tokens one below another. */
const cachePlace = (d: number) => `
fn cachePlace(sequence: u32, position: u32, kv: u32) -> u32 {
  let page = u32(pageTable[p.pageTable + sequence * p.pages + position / p.page]);
  return ((page * p.kvHeads + kv) * p.page + position % p.page) * ${d}u;
}`;

const keepShader = (d: number) =>
  shader('keep keys and values', {
    writes: { keys: 'f32', values: 'f32' },
    reads: { qk: 'f32', qkv: 'f32', places: 'i32', pageTable: 'i32' },
    params: { ...shape, count: 'u32' },
    before: cachePlace(d),
    body: `
  let i = flat(id);
  if (i >= p.count) { return; }
  let row = i / (p.kvHeads * ${d}u);
  let kv = i / ${d}u % p.kvHeads;
  let j = i % ${d}u;
  let to = cachePlace(u32(places[p.places + 2u * row]), u32(places[p.places + 2u * row + 1u]), kv) + j;
  keys[p.keys + to] = qk[p.qk + (row * (p.heads + p.kvHeads) + p.heads + kv) * ${d}u + j];
  values[p.values + to] = qkv[p.qkv + (row * (p.heads + 2u * p.kvHeads) + p.heads + p.kvHeads + kv) * ${d}u + j];`,
  });

/** A workgroup has a head of a row: each thread scores a key at a time, then sums up some dimensions of the values. */
const attendShader = (d: number) => {
  const dimensions = Math.ceil(d / threadsPerGroup);
  return shader('cached attention', {
    writes: { out: 'f32' },
    reads: { qk: 'f32', keys: 'f32', values: 'f32', places: 'i32', pageTable: 'i32' },
    params: { ...shape, scale: 'f32' },
    before: `${sumOf}${largestOf}${cachePlace(d)}
var<workgroup> query: array<f32, ${d}>;
var<workgroup> weights: array<f32, ${threadsPerGroup}>;
var<workgroup> begins: array<u32, ${threadsPerGroup}>;`,
    body: `
  let number = ${groupNumber};
  if (number >= p.rows * p.heads) { return; }
  let row = number / p.heads;
  let head = number % p.heads;
  let kv = head / (p.heads / p.kvHeads);
  let sequence = u32(places[p.places + 2u * row]);
  let seen = u32(places[p.places + 2u * row + 1u]) + 1u;
  for (var j = lane; j < ${d}u; j += ${threadsPerGroup}u) {
    query[j] = qk[p.qk + (row * (p.heads + p.kvHeads) + head) * ${d}u + j];
  }
  var sums = array<f32, ${dimensions}>();
  var best = -3e38;
  var total = 0.0;
  for (var first = 0u; first < seen; first += ${threadsPerGroup}u) {
    workgroupBarrier();
    let position = first + lane;
    var score = -3e38;
    if (position < seen) {
      let begin = cachePlace(sequence, position, kv);
      begins[lane] = begin;
      var product = 0.0;
      for (var j = 0u; j < ${d}u; j++) { product = fma(query[j], keys[p.keys + begin + j], product); }
      score = product * p.scale;
    }
    let before = best;
    best = max(best, largestOf(lane, score));
    let weight = select(0.0, exp(score - best), position < seen);
    weights[lane] = weight;
    let correction = exp(before - best);
    total = total * correction + sumOf(lane, weight);
    let count = min(${threadsPerGroup}u, seen - first);
    for (var i = 0u; i < ${dimensions}u; i++) {
      let j = lane + ${threadsPerGroup}u * i;
      if (j < ${d}u) {
        var sum = sums[i] * correction;
        for (var key = 0u; key < count; key++) { sum = fma(weights[key], values[p.values + begins[key] + j], sum); }
        sums[i] = sum;
      }
    }
  }
  for (var i = 0u; i < ${dimensions}u; i++) {
    let j = lane + ${threadsPerGroup}u * i;
    if (j < ${d}u) { out[p.out + number * ${d}u + j] = sums[i] / total; }
  }`,
  });
};

/** Attention of new tokens over a paged cache. A row's result does not depend on what else is in the batch. */
export function cachedAttentionKernels(memory: GpuMemory): Pick<Device, 'cachedAttention' | 'copyPage'> {
  const known = new Map<number, { keep: Shader; attend: Shader }>();
  return {
    cachedAttention(outId, qkId, qkvId, keysId, valuesId, sequencesId, pageTableId, heads, kvHeads) {
      const [out, qk, qkv, keys, values, pageTable] = [outId, qkId, qkvId, keysId, valuesId, pageTableId].map(id =>
        memory.get(id),
      );
      const [rows, width] = out.shape;
      const d = width / heads;
      const programs = known.get(d) ?? { keep: keepShader(d), attend: attendShader(d) };
      known.set(d, programs);
      const shape = { rows, heads, kvHeads, page: keys.shape[2] / d, pages: pageTable.shape[1] };
      memory.withInts(placesOf(memory.intsOf(memory.get(sequencesId)), rows), places => {
        const count = rows * kvHeads * d;
        memory.run(programs.keep, { keys, values, qk, qkv, places, pageTable }, { ...shape, count }, groupsFor(count));
        const params = { ...shape, scale: 1 / Math.sqrt(d) };
        memory.run(programs.attend, { out, qk, keys, values, places, pageTable }, params, rowsOfGroups(rows * heads));
      });
    },
    copyPage(cacheId, to, from) {
      const tensor = memory.get(cacheId);
      const [, kvHeads, pageSize] = tensor.shape;
      const count = kvHeads * pageSize;
      memory.temporary([count], page => {
        const own = { tensor: page, first: 0, count };
        memory.copy(own, { tensor, first: from * count, count });
        memory.copy({ tensor, first: to * count, count }, own);
      });
    },
  };
}

/** [rows, 2]: sequence, position. @param sequences [count, 3]: first row, rows, tokens before */
function placesOf(sequences: Int32Array, rows: number): Int32Array {
  const places = new Int32Array(2 * rows);
  for (let s = 0; s < sequences.length / 3; s++) {
    const [first, count, before] = sequences.subarray(3 * s, 3 * s + 3);
    for (let r = 0; r < count; r++) places.set([s, before + r], 2 * (first + r));
  }
  return places;
}
