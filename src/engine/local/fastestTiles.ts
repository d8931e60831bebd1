import type { Device, Id } from '../../tensor/device.ts';
import type { Gpu } from '../../tensor/gpu/gpu.ts';
import { gpuDevice } from '../../tensor/gpu/gpuDevice.ts';
import { type Rows, type Tile, type Tiles, tileCandidates } from '../../tensor/gpu/tiles.ts';
import { largeEnough, secondsEach, type Work, work } from './timing.ts';

const seenSeconds = 0.1;
/** Of each result, so many numbers are compared. */
const compared = 1 << 16;

/** Searches for them, for a few seconds, among those whose results are those of all others, bit for bit. The GPU computes with them then. */
export function fastestTiles(gpu: Gpu): Tiles {
  const device = gpuDevice(gpu);
  for (const rows of ['few', 'some', 'many'] as const) {
    const { work } = largeEnough(size => products(device, rows, size));
    gpu.tiles = { ...gpu.tiles, [rows]: fastest(gpu, rows, work) };
    work.free();
  }
  return gpu.tiles;
}

function fastest(gpu: Gpu, rows: Rows, products: Products): Tile {
  const [first, ...others] = tileCandidates[rows];
  const tried = (tile: Tile) => {
    gpu.tiles = { ...gpu.tiles, [rows]: tile };
    return { tile, seconds: secondsEach(products, seenSeconds), results: products.results() };
  };
  let best = tried(first);
  for (const tile of others) {
    const next = tried(tile);
    if (next.seconds < best.seconds && next.results.equals(best.results)) best = next;
  }
  return best.tile;
}

interface Products extends Work {
  results(): Buffer;
}

/** What a step of decoding computes, or a layer forwards and backwards. */
function products(device: Device, rows: Rows, size: number): Products {
  const count = { few: 1, some: 16, many: size }[rows];
  const x = filled(device, [count, size]);
  const w = filled(device, [size, size]);
  const [forward, backward] = [false, true].map(isBackward => device.pack(w, true, isBackward, size));
  const [y, dx, dw] = [count, count, size].map(rows => device.allocate('f32', [rows, size]));
  const results = rows === 'many' ? [y, dx, dw] : [y];
  const once = () => {
    device.linear(y, x, forward);
    if (rows !== 'many') return;
    device.linearBackward(dx, y, backward);
    device.linearWeightGrad(dw, y, x, false);
  };
  return {
    ...work(device, results.at(-1)!, [x, w, forward, backward, y, dx, dw], once),
    results: () => Buffer.concat(results.map(id => bytesOf(device, id, Math.min(compared, count * size)))),
  };
}

function filled(device: Device, shape: [number, number]): Id {
  const id = device.allocate('f32', shape);
  device.write(
    id,
    Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => ((i * 40503) % 65521) / 65521 - 0.5),
  );
  return id;
}

function bytesOf(device: Device, id: Id, count: number): Buffer {
  const view = device.view(id, 0, [count]);
  const values = device.read(view);
  device.release(view);
  return Buffer.from(values.buffer);
}
