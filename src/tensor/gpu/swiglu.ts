import type { Device } from '../device.ts';
import type { GpuMemory } from './memory.ts';
import { groupsFor, shader } from './shader.ts';

const forward = shader('swiglu', {
  writes: { y: 'f32' },
  reads: { gateUp: 'f32' },
  params: { count: 'u32', width: 'u32' },
  body: `
  let i = flat(id);
  if (i >= p.count) { return; }
  let at = p.gateUp + i / p.width * 2u * p.width + i % p.width;
  let gate = gateUp[at];
  y[p.y + i] = gate / (1.0 + exp(-gate)) * gateUp[at + p.width];`,
});

const backward = shader('swiglu backward', {
  writes: { dgateUp: 'f32' },
  reads: { dy: 'f32', gateUp: 'f32' },
  params: { count: 'u32', width: 'u32' },
  body: `
  let i = flat(id);
  if (i >= p.count) { return; }
  let at = i / p.width * 2u * p.width + i % p.width;
  let gate = gateUp[p.gateUp + at];
  let up = gateUp[p.gateUp + at + p.width];
  let slope = dy[p.dy + i];
  let sigmoid = 1.0 / (1.0 + exp(-gate));
  dgateUp[p.dgateUp + at] = slope * up * sigmoid * (1.0 + gate * (1.0 - sigmoid));
  dgateUp[p.dgateUp + at + p.width] = slope * gate * sigmoid;`,
});

/** silu(gate) · up, with gate and up side by side. */
export function swigluKernels(memory: GpuMemory): Pick<Device, 'swiglu' | 'swigluBackward'> {
  return {
    swiglu(yId, gateUpId) {
      const [y, gateUp] = [yId, gateUpId].map(id => memory.get(id));
      const [n, width] = y.shape;
      memory.run(forward, { y, gateUp }, { count: n * width, width }, groupsFor(n * width));
    },
    swigluBackward(dgateUpId, dyId, gateUpId) {
      const [dgateUp, dy, gateUp] = [dgateUpId, dyId, gateUpId].map(id => memory.get(id));
      const [n, width] = dy.shape;
      memory.run(backward, { dgateUp, dy, gateUp }, { count: n * width, width }, groupsFor(n * width));
    },
  };
}
