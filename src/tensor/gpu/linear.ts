import type { Device } from '../device.ts';
import { addOverRows, overRows } from './bands.ts';
import type { GpuMemory } from './memory.ts';
import { matrixOf, multiply } from './product.ts';
import { groupsFor, shader } from './shader.ts';

const scaleShader = shader('scale', {
  writes: { x: 'f32' },
  params: { count: 'u32', factor: 'f32' },
  body: `
  let i = flat(id);
  if (i < p.count) { x[p.x + i] *= p.factor; }`,
});

const addBiasShader = shader('addBias', {
  writes: { x: 'f32' },
  reads: { bias: 'f32' },
  params: { count: 'u32', width: 'u32' },
  body: `
  let i = flat(id);
  if (i < p.count) { x[p.x + i] += bias[p.bias + i % p.width]; }`,
});

const biasSums = overRows('bias gradient', { dy: 'f32' }, 'dy[p.dy + at]');

type Linear = Pick<
  Device,
  | 'linear'
  | 'linearBackward'
  | 'linearWeightGrad'
  | 'columnsProduct'
  | 'columnsWeightGrad'
  | 'scale'
  | 'addBias'
  | 'biasGradient'
>;

/** Products with weights, which lie in memory as they are, and what is added to them. */
export function linearKernels(memory: GpuMemory): Linear {
  return {
    linear(yId, xId, wId) {
      const [y, x, w] = [yId, xId, wId].map(id => memory.get(id));
      const [columns, depth] = w.shape;
      multiply(
        memory,
        'A·Bᵀ',
        { c: matrixOf(y), a: matrixOf(x), b: matrixOf(w) },
        { rows: x.shape[0], columns, depth },
        false,
      );
    },
    linearBackward(dxId, dyId, wId) {
      const [dx, dy, w] = [dxId, dyId, wId].map(id => memory.get(id));
      const [depth, columns] = w.shape;
      multiply(
        memory,
        'A·B',
        { c: matrixOf(dx), a: matrixOf(dy), b: matrixOf(w) },
        { rows: dy.shape[0], columns, depth },
        false,
      );
    },
    linearWeightGrad(dw, dy, x, add) {
      this.columnsWeightGrad(dw, dy, 0, x, 0, add);
    },
    columnsProduct(yId, yColumn, xId, xColumn, wId, add) {
      const [y, x, w] = [yId, xId, wId].map(id => memory.get(id));
      const [out, inner] = w.isBackward ? [w.shape[1], w.shape[0]] : w.shape;
      multiply(
        memory,
        w.isBackward ? 'A·B' : 'A·Bᵀ',
        { c: matrixOf(y, yColumn), a: matrixOf(x, xColumn), b: matrixOf(w) },
        { rows: x.shape[0], columns: out, depth: inner },
        add,
      );
    },
    columnsWeightGrad(dwId, dyId, dyColumn, xId, xColumn, add) {
      const [dw, dy, x] = [dwId, dyId, xId].map(id => memory.get(id));
      const [rows, columns] = dw.shape;
      multiply(
        memory,
        'Aᵀ·B',
        { c: matrixOf(dw), a: matrixOf(dy, dyColumn), b: matrixOf(x, xColumn) },
        { rows, columns, depth: x.shape[0] },
        add,
      );
    },
    scale(xId, factor) {
      const x = memory.get(xId);
      const count = x.shape[0] * x.shape[1];
      memory.run(scaleShader, { x }, { count, factor }, groupsFor(count));
    },
    addBias(xId, biasId) {
      const [x, bias] = [xId, biasId].map(id => memory.get(id));
      const [n, width] = x.shape;
      memory.run(addBiasShader, { x, bias }, { count: n * width, width }, groupsFor(n * width));
    },
    biasGradient(dbiasId, dyId) {
      const [dbias, dy] = [dbiasId, dyId].map(id => memory.get(id));
      addOverRows(memory, dbias, biasSums, { dy }, dy.shape[0]);
    },
  };
}
