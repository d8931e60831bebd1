import type { Device } from '../device.ts';
import type { GpuMemory, GpuTensor } from './memory.ts';
import { elementAt, groupsFor, shader } from './shader.ts';

/** y[i] = x[rows[i]]; of a part of x, the rows that are in it. */
const takeShader = (elements: 'f32' | 'bf16') =>
  shader('take rows', {
    writes: { y: 'f32' },
    reads: { x: elements, rows: 'i32' },
    params: { count: 'u32', width: 'u32', first: 'u32', end: 'u32' },
    body: `
  let i = flat(id);
  if (i >= p.count) { return; }
  let row = u32(rows[p.rows + i / p.width]);
  if (row < p.first || row >= p.end) { return; }
  y[p.y + i] = ${elementAt('x', elements, 'p.x + (row - p.first) * p.width + i % p.width')};`,
  });
const takeShaders = { f32: takeShader('f32'), bf16: takeShader('bf16') };

/** x[rows[i]] = y[i] */
const putShader = shader('put rows', {
  writes: { x: 'f32' },
  reads: { y: 'f32', rows: 'i32' },
  params: { count: 'u32', width: 'u32' },
  body: `
  let i = flat(id);
  if (i < p.count) { x[p.x + u32(rows[p.rows + i / p.width]) * p.width + i % p.width] = y[p.y + i]; }`,
});

/** For each different row of x, those of y that are added to it: its number, and where they begin and end in what follows. */
const addShader = shader('add rows', {
  writes: { x: 'f32' },
  reads: { y: 'f32', table: 'i32' },
  params: { count: 'u32', width: 'u32', first: 'u32', end: 'u32' },
  body: `
  let i = flat(id);
  if (i >= p.count) { return; }
  let entry = p.table + i / p.width * 3u;
  let row = u32(table[entry]);
  if (row < p.first || row >= p.end) { return; }
  let to = p.x + (row - p.first) * p.width + i % p.width;
  var sum = x[to];
  for (var e = table[entry + 1u]; e < table[entry + 2u]; e++) {
    sum += y[p.y + u32(table[p.table + u32(e)]) * p.width + i % p.width];
  }
  x[to] = sum;`,
});

/** y [m, width] = rows of x. */
export function takeRows(memory: GpuMemory, y: GpuTensor, x: GpuTensor, rows: GpuTensor): void {
  const width = x.shape[1];
  const count = rows.shape[0] * width;
  for (const { first, end, slice } of memory.rowsInParts(x)) {
    memory.run(
      takeShaders[x.dtype as 'f32' | 'bf16'],
      { y, x: slice, rows },
      { count, width, first, end },
      groupsFor(count),
    );
  }
}

/** x[rows[i]] += y[i], where a row may come often: its sum has the order of `rows`. */
export function addRows(memory: GpuMemory, x: GpuTensor, y: GpuTensor, rows: GpuTensor): void {
  const places = new Map<number, number[]>();
  memory.intsOf(rows).forEach((row, i) => {
    const those = places.get(row);
    if (those) those.push(i);
    else places.set(row, [i]);
  });
  let begin = 3 * places.size;
  const entries = [...places].flatMap(([row, those]) => {
    begin += those.length;
    return [row, begin - those.length, begin];
  });
  const width = x.shape[1];
  const count = places.size * width;
  memory.withInts(Int32Array.from([...entries, ...[...places.values()].flat()]), table => {
    for (const { first, end, slice } of memory.rowsInParts(x)) {
      memory.run(addShader, { x: slice, y, table }, { count, width, first, end }, groupsFor(count));
    }
  });
}

type Rows = Pick<Device, 'embedding' | 'embeddingBackward' | 'selectRows' | 'selectRowsBackward'>;

/** Some rows of a matrix, and back. */
export function rowKernels(memory: GpuMemory): Rows {
  return {
    embedding(y, table, ids) {
      takeRows(memory, memory.get(y), memory.get(table), memory.get(ids));
    },
    embeddingBackward(dtable, dy, ids) {
      addRows(memory, memory.get(dtable), memory.get(dy), memory.get(ids));
    },
    selectRows(y, x, rows) {
      takeRows(memory, memory.get(y), memory.get(x), memory.get(rows));
    },
    selectRowsBackward(dxId, dyId, rowsId) {
      const [dx, dy, rows] = [dxId, dyId, rowsId].map(id => memory.get(id));
      const [m, width] = dy.shape;
      memory.zero(dx);
      memory.run(putShader, { x: dx, y: dy, rows }, { count: m * width, width }, groupsFor(m * width));
    },
  };
}
