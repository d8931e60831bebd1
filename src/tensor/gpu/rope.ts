import type { Device, Rotation } from '../device.ts';
import { addBands, bandRows, bands } from './bands.ts';
import type { GpuMemory } from './memory.ts';
import { groupNumber, groupsFor, rowsOfGroups, shader, sumOf, threadsPerGroup } from './shader.ts';

const shape = { rows: 'u32', heads: 'u32', kvHeads: 'u32', half: 'u32', epsilon: 'f32' } as const;

/** A workgroup has a head of a row. */
const place = `
  let number = ${groupNumber};
  let all = p.heads + p.kvHeads;
  if (number >= p.rows * all) { return; }
  let row = number / all;
  let head = number % all;
  let d = 2u * p.half;
  let start = row * (all + p.kvHeads) * d + head * d;
  let to = number * d;
  let turn = u32(at[p.at + row]) * d;`;

/** The gain of a query's head or a key's. */
const gain = `
fn gain(isQuery: bool, j: u32) -> f32 { return select(wk[p.wk + j], wq[p.wq + j], isQuery); }`;

const forward = [false, true].map(isNormed =>
  shader('qkNormRope', {
    writes: { y: 'f32' },
    reads: { qkv: 'f32', ...(isNormed && { wq: 'f32' as const, wk: 'f32' as const }), table: 'f32', at: 'i32' },
    params: shape,
    before: isNormed ? sumOf + gain : '',
    body: `${place}
  ${
    isNormed
      ? `var squares = 0.0;
  for (var j = lane; j < d; j += ${threadsPerGroup}u) { squares += qkv[p.qkv + start + j] * qkv[p.qkv + start + j]; }
  let r = 1.0 / sqrt(sumOf(lane, squares) / f32(d) + p.epsilon);
  let isQuery = head < p.heads;`
      : ''
  }
  for (var j = lane; j < p.half; j += ${threadsPerGroup}u) {
    let a = qkv[p.qkv + start + j]${isNormed ? ' * r * gain(isQuery, j)' : ''};
    let b = qkv[p.qkv + start + p.half + j]${isNormed ? ' * r * gain(isQuery, p.half + j)' : ''};
    let c = table[p.table + turn + j];
    let s = table[p.table + turn + p.half + j];
    y[p.y + to + j] = a * c - b * s;
    y[p.y + to + p.half + j] = b * c + a * s;
  }`,
  }),
);

/** The gradient of a normed head: that of a turned one, turned back. */
const turnedBack = `
fn turnedBack(to: u32, turn: u32, j: u32) -> f32 {
  let k = j % p.half;
  let a = dy[p.dy + to + k];
  let b = dy[p.dy + to + p.half + k];
  let c = table[p.table + turn + k];
  let s = table[p.table + turn + p.half + k];
  return select(b * c - a * s, a * c + b * s, j < p.half);
}`;

const backward = [false, true].map(isNormed =>
  shader('qkNormRope backward', {
    writes: { dqkv: 'f32', ...(isNormed && { rstd: 'f32' as const }) },
    reads: {
      dy: 'f32',
      ...(isNormed && { qkv: 'f32' as const, wq: 'f32' as const, wk: 'f32' as const }),
      table: 'f32',
      at: 'i32',
    },
    params: shape,
    before: turnedBack + (isNormed ? sumOf + gain : ''),
    body: isNormed
      ? `${place}
  let isQuery = head < p.heads;
  var squares = 0.0;
  var products = 0.0;
  for (var j = lane; j < d; j += ${threadsPerGroup}u) {
    let value = qkv[p.qkv + start + j];
    squares += value * value;
    products += turnedBack(to, turn, j) * gain(isQuery, j) * value;
  }
  let r = 1.0 / sqrt(sumOf(lane, squares) / f32(d) + p.epsilon);
  let mean = sumOf(lane, products) * r * r / f32(d);
  if (lane == 0u) { rstd[p.rstd + number] = r; }
  for (var j = lane; j < d; j += ${threadsPerGroup}u) {
    dqkv[p.dqkv + start + j] = r * (turnedBack(to, turn, j) * gain(isQuery, j) - qkv[p.qkv + start + j] * mean);
  }`
      : `${place}
  for (var j = lane; j < d; j += ${threadsPerGroup}u) { dqkv[p.dqkv + start + j] = turnedBack(to, turn, j); }`,
  }),
);

/** Of the gains: sums over rows and heads, queries' first, then keys'. */
const gainBands = shader('qkNormRope gains', {
  writes: { sums: 'f32' },
  reads: { dy: 'f32', qkv: 'f32', rstd: 'f32', table: 'f32', at: 'i32' },
  params: { ...shape, count: 'u32' },
  before: turnedBack,
  body: `
  let i = flat(id);
  if (i >= p.count) { return; }
  let d = 2u * p.half;
  let all = p.heads + p.kvHeads;
  let band = i / (2u * d);
  let isQuery = i % (2u * d) < d;
  let j = i % d;
  var sum = 0.0;
  for (var row = band * ${bandRows}u; row < min((band + 1u) * ${bandRows}u, p.rows); row++) {
    for (var head = select(p.heads, 0u, isQuery); head < select(all, p.heads, isQuery); head++) {
      let number = row * all + head;
      let value = qkv[p.qkv + (row * (all + p.kvHeads) + head) * d + j];
      sum += turnedBack(number * d, u32(at[p.at + row]) * d, j) * value * rstd[p.rstd + number];
    }
  }
  sums[p.sums + i] = sum;`,
});

/** RMS norm of each query and key head, where a model has them, then rotary embedding. */
export function ropeKernels(memory: GpuMemory): Pick<Device, 'qkNormRope' | 'qkNormRopeBackward'> {
  const given = ([wq, wk, table, at, heads, kvHeads, epsilon]: Rotation, rows: number) => {
    const turning = { table: memory.get(table), at: memory.get(at) };
    const gains = wq === undefined ? undefined : { wq: memory.get(wq), wk: memory.get(wk!) };
    return { turning, gains, params: { rows, heads, kvHeads, half: turning.table.shape[1] / 2, epsilon } };
  };
  return {
    qkNormRope(yId, qkvId, ...rotation) {
      const [y, qkv] = [yId, qkvId].map(id => memory.get(id));
      const rows = y.shape[0];
      const { turning, gains, params } = given(rotation, rows);
      const groups = rowsOfGroups(rows * (params.heads + params.kvHeads));
      memory.run(forward[Number(gains !== undefined)], { y, qkv, ...turning, ...gains }, params, groups);
    },
    qkNormRopeBackward(dqkvId, dwq, dwk, dyId, qkvId, ...rotation) {
      const [dqkv, dy, qkv] = [dqkvId, dyId, qkvId].map(id => memory.get(id));
      const rows = dy.shape[0];
      const { turning, gains, params } = given(rotation, rows);
      const heads = params.heads + params.kvHeads;
      const groups = rowsOfGroups(rows * heads);
      if (!gains) {
        memory.run(backward[0], { dqkv, dy, ...turning }, params, groups);
        return;
      }
      memory.temporary([rows, heads], rstd => {
        memory.run(backward[1], { dqkv, rstd, dy, qkv, ...turning, ...gains }, params, groups);
        if (dwq === undefined) return;
        const d = 2 * params.half;
        memory.temporary([bands(rows), 2 * d], sums => {
          const count = bands(rows) * 2 * d;
          memory.run(gainBands, { sums, dy, qkv, rstd, ...turning }, { ...params, count }, groupsFor(count));
          addBands(memory, memory.get(dwq), sums);
          addBands(memory, memory.get(dwk!), sums, d);
        });
      });
    },
  };
}
