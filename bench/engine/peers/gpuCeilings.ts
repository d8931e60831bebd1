import { measureDevice } from '../../../src/engine/local/measureDevice.ts';
import { keptTiles } from '../../../src/engine/local/measurements.ts';
import { Gpu } from '../../../src/tensor/gpu/gpu.ts';
import { gpuDevice } from '../../../src/tensor/gpu/gpuDevice.ts';
import { elementsOf, GpuMemory } from '../../../src/tensor/gpu/memory.ts';
import { groupsFor, shader } from '../../../src/tensor/gpu/shader.ts';

/** What a GPU does in a second by WebGPU: multiply-adds in registers, as two operations each; products; memory that is copied. */
export interface GpuCeilings {
  name: string;
  arithmeticFlops: number;
  productFlops: number;
  bytes: number;
}

export async function gpuCeilings(): Promise<GpuCeilings> {
  const gpu = Gpu.open();
  gpu.tiles = keptTiles(gpu.info.name);
  try {
    const { flops, bytes } = measureDevice(gpuDevice(gpu), 'f32');
    return { name: gpu.info.name, arithmeticFlops: arithmetic(gpu), productFlops: flops, bytes };
  } finally {
    await gpu.close();
  }
}

const threads = 2 ** 18;
/** Independent of one another, so that none waits. */
const chains = Array.from({ length: 8 }, (_, i) => `s${i}`);
const multiplyAdds = shader('multiply-adds', {
  writes: { y: 'f32' },
  params: { rounds: 'u32', factor: 'f32' },
  body: `
  ${chains.map((s, i) => `var ${s} = vec4f(f32(id.x) + ${i}.0);`).join(' ')}
  for (var round = 0u; round < p.rounds; round++) {
    ${chains.map(s => `${s} = fma(${s}, vec4f(p.factor), vec4f(1.0));`).join(' ')}
  }
  y[p.y + flat(id)] = dot(${chains.join(' + ')}, vec4f(1.0));`,
});

function arithmetic(gpu: Gpu): number {
  const memory = new GpuMemory(gpu);
  const y = memory.get(memory.allocate('f32', [threads]));
  const seconds = (rounds: number) => {
    const began = performance.now();
    memory.run(multiplyAdds, { y }, { rounds, factor: 0.5 }, groupsFor(elementsOf(y.shape)));
    memory.read({ ...y, shape: [1] });
    return (performance.now() - began) / 1000;
  };
  seconds(1);
  let rounds = 4;
  while (seconds(rounds) < 0.2) rounds *= 4;
  return (threads * rounds * chains.length * 4 * 2) / Math.min(seconds(rounds), seconds(rounds));
}
