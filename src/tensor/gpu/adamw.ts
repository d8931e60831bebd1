import type { Device } from '../device.ts';
import type { GpuMemory } from './memory.ts';
import { groupNumber, groupsFor, rowsOfGroups, shader, sumOf, threadsPerGroup } from './shader.ts';

/** Numbers whose squares a workgroup adds up. */
const block = 1 << 14;

const squaresShader = shader('sum of squares', {
  writes: { sums: 'f32' },
  reads: { g: 'f32' },
  params: { count: 'u32', blocks: 'u32' },
  before: sumOf,
  body: `
  let number = ${groupNumber};
  if (number >= p.blocks) { return; }
  var squares = 0.0;
  for (var i = number * ${block}u + lane; i < min((number + 1u) * ${block}u, p.count); i += ${threadsPerGroup}u) {
    squares = fma(g[p.g + i], g[p.g + i], squares);
  }
  squares = sumOf(lane, squares);
  if (lane == 0u) { sums[p.sums + number] = squares; }`,
});

const updateShader = shader('adamw', {
  writes: { w: 'f32', g: 'f32', m: 'f32', v: 'f32' },
  params: {
    count: 'u32',
    gradScale: 'f32',
    beta1: 'f32',
    rest1: 'f32',
    beta2: 'f32',
    rest2: 'f32',
    decay: 'f32',
    stepSize: 'f32',
    rootCorrection: 'f32',
    epsilon: 'f32',
  },
  body: `
  let i = flat(id);
  if (i >= p.count) { return; }
  let d = g[p.g + i] * p.gradScale;
  let first = p.beta1 * m[p.m + i] + p.rest1 * d;
  let second = p.beta2 * v[p.v + i] + p.rest2 * d * d;
  g[p.g + i] = 0.0;
  m[p.m + i] = first;
  v[p.v + i] = second;
  w[p.w + i] = w[p.w + i] * p.decay - p.stepSize * first / (sqrt(second) * p.rootCorrection + p.epsilon);`,
});

/** The optimizer over flat storage (arXiv 1711.05101); the gradient is cleared. */
export function adamwKernels(memory: GpuMemory): Pick<Device, 'sumSquares' | 'adamw'> {
  return {
    sumSquares(gId) {
      let total = 0;
      for (const g of memory.inParts(memory.get(gId))) {
        const { count } = g;
        const blocks = Math.ceil(count / block);
        memory.temporary([blocks], sums => {
          memory.run(squaresShader, { sums, g }, { count, blocks }, rowsOfGroups(blocks));
          for (const sum of memory.read(sums)) total += sum;
        });
      }
      return total;
    },
    adamw(wId, gId, mId, vId, step, learningRate, beta1, beta2, epsilon, weightDecay, gradScale) {
      const [w, g, m, v] = [wId, gId, mId, vId].map(id => memory.inParts(memory.get(id)));
      const numbers = {
        gradScale,
        beta1,
        rest1: 1 - beta1,
        beta2,
        rest2: 1 - beta2,
        decay: 1 - learningRate * weightDecay,
        stepSize: learningRate / (1 - beta1 ** step),
        rootCorrection: 1 / Math.sqrt(1 - beta2 ** step),
        epsilon,
      };
      w.forEach((part, i) => {
        const { count } = part;
        memory.run(updateShader, { w: part, g: g[i], m: m[i], v: v[i] }, { count, ...numbers }, groupsFor(count));
      });
    },
  };
}
