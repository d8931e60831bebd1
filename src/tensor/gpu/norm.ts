import type { Device } from '../device.ts';
import { addOverRows, overRows } from './bands.ts';
import type { GpuMemory } from './memory.ts';
import { groupNumber, rowsOfGroups, shader, sumOf, threadsPerGroup } from './shader.ts';

const forward = [false, true].map(hasDelta =>
  [false, true].map(keeps =>
    shader('rmsNorm', {
      writes: { y: 'f32', ...(keeps && { rstd: 'f32' as const }), ...(hasDelta && { sum: 'f32' as const }) },
      reads: { x: 'f32', ...(hasDelta && { delta: 'f32' as const }), w: 'f32' },
      params: { rows: 'u32', width: 'u32', epsilon: 'f32' },
      before: sumOf,
      body: `
  let row = ${groupNumber};
  if (row >= p.rows) { return; }
  let at = row * p.width;
  var squares = 0.0;
  for (var j = lane; j < p.width; j += ${threadsPerGroup}u) {
    let value = x[p.x + at + j]${hasDelta ? ' + delta[p.delta + at + j]' : ''};
    ${hasDelta ? 'sum[p.sum + at + j] = value;' : ''}
    squares += value * value;
  }
  let r = 1.0 / sqrt(sumOf(lane, squares) / f32(p.width) + p.epsilon);
  ${keeps ? 'if (lane == 0u) { rstd[p.rstd + row] = r; }' : ''}
  for (var j = lane; j < p.width; j += ${threadsPerGroup}u) {
    y[p.y + at + j] = ${hasDelta ? 'sum[p.sum + at + j]' : 'x[p.x + at + j]'} * r * w[p.w + j];
  }`,
    }),
  ),
);

/** dx += rstd · (w·dy − x̂ · mean(w·dy·x̂)) with x̂ = x · rstd */
const backward = shader('rmsNorm backward', {
  writes: { dx: 'f32' },
  reads: { dy: 'f32', x: 'f32', rstd: 'f32', w: 'f32' },
  params: { rows: 'u32', width: 'u32' },
  before: sumOf,
  body: `
  let row = ${groupNumber};
  if (row >= p.rows) { return; }
  let at = row * p.width;
  let r = rstd[p.rstd + row];
  var products = 0.0;
  for (var j = lane; j < p.width; j += ${threadsPerGroup}u) {
    products += dy[p.dy + at + j] * w[p.w + j] * x[p.x + at + j];
  }
  let mean = sumOf(lane, products) * r * r / f32(p.width);
  for (var j = lane; j < p.width; j += ${threadsPerGroup}u) {
    dx[p.dx + at + j] += r * (dy[p.dy + at + j] * w[p.w + j] - x[p.x + at + j] * mean);
  }`,
});

/** Of the weight: Σ dy·x̂ over rows. */
const gainSums = overRows(
  'rmsNorm gain',
  { dy: 'f32', x: 'f32', rstd: 'f32' },
  'dy[p.dy + at] * x[p.x + at] * rstd[p.rstd + row]',
);

/** RMS norm of the residual stream, with the addition of a sublayer's output. */
export function normKernels(memory: GpuMemory): Pick<Device, 'rmsNorm' | 'rmsNormBackward'> {
  return {
    rmsNorm(yId, rstd, sum, xId, delta, w, epsilon) {
      const y = memory.get(yId);
      const [rows, width] = y.shape;
      const tensors = {
        y,
        x: memory.get(xId),
        w: memory.get(w),
        ...(rstd !== undefined && { rstd: memory.get(rstd) }),
        ...(delta !== undefined && { delta: memory.get(delta), sum: memory.get(sum!) }),
      };
      const program = forward[Number(delta !== undefined)][Number(rstd !== undefined)];
      memory.run(program, tensors, { rows, width, epsilon }, rowsOfGroups(rows));
    },
    rmsNormBackward(dxId, dw, ...others) {
      const [dx, dy, x, rstd, w] = [dxId, ...others].map(id => memory.get(id));
      const [rows, width] = x.shape;
      memory.run(backward, { dx, dy, x, rstd, w }, { rows, width }, rowsOfGroups(rows));
      if (dw !== undefined) addOverRows(memory, memory.get(dw), gainSums, { dy, x, rstd }, rows);
    },
  };
}
