import type { Attended, Device } from '../device.ts';
import { keyBlocks, queryBlocks } from './attentionBlocks.ts';
import {
  dot,
  eachDimension,
  lanes,
  load,
  overKeys,
  place,
  queryPlace,
  shape,
  sharedRows,
  sharedScores,
  stride,
  type Tile,
  tileFor,
  zeros,
} from './attentionTile.ts';
import type { GpuMemory } from './memory.ts';
import { groupsFor, rowsOfGroups, type Shader, shader } from './shader.ts';

/**
 * Attention over packed segments, blocked over keys with a running maximum (Dao et al., FlashAttention, arXiv 2205.14135).
 */
const forwardShader = (tile: Tile) => {
  const { size, d } = tile;
  return shader('attention', {
    writes: { out: 'f32', lse: 'f32' },
    reads: { qk: 'f32', qkv: 'f32', table: 'i32' },
    params: shape,
    threads: size * lanes,
    before: sharedRows(tile, 'queries', 'others') + sharedScores(tile, 'scores', 'weights'),
    body: `${queryPlace(tile)}
  ${load(tile, 'queries', 'qk', 'firstRow', 'rows', 'qkWidth', 'headColumn')}
  ${zeros(tile, 'sums')}
  var best = -3e38;
  var total = 0.0;
  ${overKeys(
    tile,
    `workgroupBarrier();
      ${load(tile, 'others', 'qk', 'first', 'count', 'qkWidth', 'keyColumn')}
      workgroupBarrier();
      for (var key = c; key < ${size}u; key += ${lanes}u) {
        var product = 0.0;
        ${dot(tile, 'queries', 'r', 'others', 'key')}
        scores[r * ${size}u + key] = select(-3e38, product * p.scale, key < count && first + key <= firstRow + r);
      }
      workgroupBarrier();
      let before = best;
      for (var key = 0u; key < ${size}u; key++) { best = max(best, scores[r * ${size}u + key]); }
      for (var key = c; key < ${size}u; key += ${lanes}u) {
        let score = scores[r * ${size}u + key];
        weights[r * ${size}u + key] = select(0.0, exp(score - best), score > -1e38);
      }
      ${load(tile, 'others', 'qkv', 'first', 'count', 'qkvWidth', 'valueColumn')}
      workgroupBarrier();
      let correction = exp(before - best);
      total *= correction;
      ${eachDimension(tile, 'sums[i] *= correction;')}
      for (var key = 0u; key < count; key++) {
        let weight = weights[r * ${size}u + key];
        total += weight;
        ${eachDimension(tile, `sums[i] = fma(weight, others[key * ${stride(d)}u + j], sums[i]);`)}
      }`,
  )}
  if (r < rows) {
    ${eachDimension(tile, 'out[p.out + (firstRow + r) * outWidth + headColumn + j] = sums[i] / total;')}
    if (c == 0u) { lse[p.lse + (firstRow + r) * p.heads + head] = best + log(total); }
  }`,
  });
};

/** D = rowsum(dO ∘ O), for each head. */
const dotsShader = shader('attention dots', {
  writes: { dots: 'f32' },
  reads: { dout: 'f32', out: 'f32' },
  params: { count: 'u32', d: 'u32' },
  body: `
  let i = flat(id);
  if (i >= p.count) { return; }
  var sum = 0.0;
  for (var j = 0u; j < p.d; j++) { sum = fma(dout[p.dout + i * p.d + j], out[p.out + i * p.d + j], sum); }
  dots[p.dots + i] = sum;`,
});

const backwardReads = { qk: 'f32', qkv: 'f32', dout: 'f32', lse: 'f32', dots: 'f32', table: 'i32' } as const;

/** With S = scale·QKᵀ, P = exp(S − lse): dS = P ∘ (dO Vᵀ − D), dQ = scale·dS K. */
const queriesShader = (tile: Tile) => {
  const { size, d } = tile;
  return shader('attention backward, queries', {
    writes: { dqk: 'f32' },
    reads: backwardReads,
    params: shape,
    threads: size * lanes,
    before: sharedRows(tile, 'queries', 'outer', 'keys', 'values') + sharedScores(tile, 'slopes'),
    body: `${queryPlace(tile)}
  ${load(tile, 'queries', 'qk', 'firstRow', 'rows', 'qkWidth', 'headColumn')}
  ${load(tile, 'outer', 'dout', 'firstRow', 'rows', 'outWidth', 'headColumn')}
  ${zeros(tile, 'sums')}
  let own = (firstRow + min(r, rows - 1u)) * p.heads + head;
  ${overKeys(
    tile,
    `workgroupBarrier();
      ${load(tile, 'keys', 'qk', 'first', 'count', 'qkWidth', 'keyColumn')}
      ${load(tile, 'values', 'qkv', 'first', 'count', 'qkvWidth', 'valueColumn')}
      workgroupBarrier();
      for (var key = c; key < ${size}u; key += ${lanes}u) {
        var product = 0.0;
        ${dot(tile, 'queries', 'r', 'keys', 'key')}
        let weight = exp(product * p.scale - lse[p.lse + own]);
        product = 0.0;
        ${dot(tile, 'outer', 'r', 'values', 'key')}
        let slope = weight * (product - dots[p.dots + own]);
        slopes[r * ${size}u + key] = select(0.0, slope, key < count && first + key <= firstRow + r);
      }
      workgroupBarrier();
      for (var key = 0u; key < count; key++) {
        let slope = slopes[r * ${size}u + key];
        ${eachDimension(tile, `sums[i] = fma(slope, keys[key * ${stride(d)}u + j], sums[i]);`)}
      }`,
  )}
  if (r < rows) {
    ${eachDimension(tile, 'dqk[p.dqk + (firstRow + r) * qkWidth + headColumn + j] = sums[i] * p.scale;')}
  }`,
  });
};

/** dK = scale·dSᵀ Q, dV = Pᵀ dO: a block of keys, and all rows that see them. */
const keysShader = (tile: Tile) => {
  const { size, d } = tile;
  return shader('attention backward, keys', {
    writes: { dqk: 'f32', dqkv: 'f32' },
    reads: backwardReads,
    params: shape,
    threads: size * lanes,
    before: sharedRows(tile, 'queries', 'outer', 'keys', 'values') + sharedScores(tile, 'weights', 'slopes'),
    body: `${place(tile, 'kvHeads')}
  let kv = number % p.kvHeads;
  let keyColumn = (p.heads + kv) * ${d}u;
  let valueColumn = (p.heads + p.kvHeads + kv) * ${d}u;
  ${load(tile, 'keys', 'qk', 'firstRow', 'rows', 'qkWidth', 'keyColumn')}
  ${load(tile, 'values', 'qkv', 'firstRow', 'rows', 'qkvWidth', 'valueColumn')}
  ${zeros(tile, 'dkeys')}
  ${zeros(tile, 'dvalues')}
  for (var head = kv * groupSize; head < (kv + 1u) * groupSize; head++) {
    for (var run = runs; run < runsEnd; run += 2u) {
      let end = u32(table[run] + table[run + 1u]);
      for (var first = max(u32(table[run]), firstRow); first < end; first += ${size}u) {
        let count = min(${size}u, end - first);
        workgroupBarrier();
        ${load(tile, 'queries', 'qk', 'first', 'count', 'qkWidth', `head * ${d}u`)}
        ${load(tile, 'outer', 'dout', 'first', 'count', 'outWidth', `head * ${d}u`)}
        workgroupBarrier();
        for (var query = c; query < ${size}u; query += ${lanes}u) {
          let own = (first + min(query, count - 1u)) * p.heads + head;
          let seen = query < count && firstRow + r <= first + query;
          var product = 0.0;
          ${dot(tile, 'queries', 'query', 'keys', 'r')}
          let weight = select(0.0, exp(product * p.scale - lse[p.lse + own]), seen);
          product = 0.0;
          ${dot(tile, 'outer', 'query', 'values', 'r')}
          weights[r * ${size}u + query] = weight;
          slopes[r * ${size}u + query] = select(0.0, weight * (product - dots[p.dots + own]), seen);
        }
        workgroupBarrier();
        for (var query = 0u; query < count; query++) {
          let weight = weights[r * ${size}u + query];
          let slope = slopes[r * ${size}u + query];
          ${eachDimension(
            tile,
            `dkeys[i] = fma(slope, queries[query * ${stride(d)}u + j], dkeys[i]);
            dvalues[i] = fma(weight, outer[query * ${stride(d)}u + j], dvalues[i]);`,
          )}
        }
      }
    }
  }
  if (r < rows) {
    ${eachDimension(
      tile,
      `dqk[p.dqk + (firstRow + r) * qkWidth + keyColumn + j] = dkeys[i] * p.scale;
      dqkv[p.dqkv + (firstRow + r) * qkvWidth + valueColumn + j] = dvalues[i];`,
    )}
  }`,
  });
};

/** For heads of one length. */
interface Programs {
  forward: Shader;
  forwardSize: number;
  queries: Shader;
  keys: Shader;
  backwardSize: number;
}

export function attentionKernels(memory: GpuMemory): Pick<Device, 'attention' | 'attentionBackward'> {
  const known = new Map<number, Programs>();
  const programsFor = (d: number): Programs => {
    const { workgroupMemory } = memory.gpu.info;
    const [forward, backward] = [2, 4].map(operands => tileFor(d, operands, workgroupMemory));
    const programs = known.get(d) ?? {
      forward: forwardShader(forward),
      forwardSize: forward.size,
      queries: queriesShader(backward),
      keys: keysShader(backward),
      backwardSize: backward.size,
    };
    known.set(d, programs);
    return programs;
  };
  const given = ([qkId, qkvId, segments, heads, kvHeads]: Attended) => {
    const [qk, qkv] = [qkId, qkvId].map(id => memory.get(id));
    const d = qk.shape[1] / (heads + kvHeads);
    const params = { heads, kvHeads, scale: 1 / Math.sqrt(d) };
    return { qk, qkv, d, params, segments: memory.intsOf(memory.get(segments)), programs: programsFor(d) };
  };
  return {
    attention(outId, lseId, ...inputs) {
      const [out, lse] = [outId, lseId].map(id => memory.get(id));
      const { qk, qkv, params, segments, programs } = given(inputs);
      const { table, count: blocks } = queryBlocks(segments, programs.forwardSize);
      memory.withInts(table, table => {
        const groups = rowsOfGroups(blocks * params.heads);
        memory.run(programs.forward, { out, lse, qk, qkv, table }, { ...params, blocks }, groups);
      });
    },
    attentionBackward(dqkId, dqkvId, doutId, outId, lseId, ...inputs) {
      const [dqk, dqkv, dout, out, lse] = [dqkId, dqkvId, doutId, outId, lseId].map(id => memory.get(id));
      const { qk, qkv, d, params, segments, programs } = given(inputs);
      memory.temporary(lse.shape, dots => {
        const count = lse.shape[0] * params.heads;
        memory.run(dotsShader, { dots, dout, out }, { count, d }, groupsFor(count));
        const reads = { qk, qkv, dout, lse, dots };
        const seen = queryBlocks(segments, programs.backwardSize);
        memory.withInts(seen.table, table => {
          const groups = rowsOfGroups(seen.count * params.heads);
          memory.run(programs.queries, { dqk, ...reads, table }, { ...params, blocks: seen.count }, groups);
        });
        const seeing = keyBlocks(segments, programs.backwardSize);
        memory.withInts(seeing.table, table => {
          const groups = rowsOfGroups(seeing.count * params.kvHeads);
          memory.run(programs.keys, { dqk, dqkv, ...reads, table }, { ...params, blocks: seeing.count }, groups);
        });
      });
    },
  };
}
