/** A kernel in WGSL: what it computes on, and the program. */
export interface Shader {
  name: string;
  /** In the order in which they are bound. */
  tensors: [name: string, access: 'read' | 'write'][];
  params: [name: string, type: 'u32' | 'f32'][];
  source: string;
}

/** Of bf16, two are in a word. */
export type Elements = 'f32' | 'i32' | 'bf16';

interface ShaderText {
  /** Tensors by name, and what their elements are; none may be written that is a part of what another one is a part of. */
  writes: Record<string, Elements>;
  reads?: Record<string, Elements>;
  params?: Record<string, 'u32' | 'f32'>;
  /** Threads of a workgroup in each direction. */
  threads?: number | [number, number];
  /** What comes before the kernel: shared memory, functions. */
  before?: string;
  /** Of one thread: `id` is its number among all, `group` its workgroup's, `local` its place there, `lane` the same as one number. */
  body: string;
}

/** Threads of a workgroup, where nothing else is said. */
export const threadsPerGroup = 64;
/** Most workgroups in one direction. */
const mostGroups = 65535;

/**
 * Programs begin alike: `p` holds the numbers, and for each tensor, under its name, the element of the bound buffer where it begins;
 * `flat(id)` counts the threads of what `groupsFor` gives. Those in bf16 are read by `elementAt`.
 */
export function shader(name: string, text: ShaderText): Shader {
  const { writes, reads = {}, params = {}, threads = threadsPerGroup, before = '', body } = text;
  const tensors = [
    ...Object.entries(writes).map(([name, elements]) => ({ name, elements, access: 'write' as const })),
    ...Object.entries(reads).map(([name, elements]) => ({ name, elements, access: 'read' as const })),
  ];
  const fields = [...tensors.map(({ name }) => `${name}: u32`), ...Object.entries(params).map(p => p.join(': '))];
  const bindings = tensors.map(({ name, elements, access }, i) => {
    const space = access === 'write' ? 'storage, read_write' : 'storage, read';
    return `@group(0) @binding(${i + 1}) var<${space}> ${name}: array<${elements === 'bf16' ? 'u32' : elements}>;`;
  });
  const accessors = tensors.filter(({ elements }) => elements === 'bf16').map(({ name }) => expanding(name));
  const source = `
struct Params { ${fields.join(', ')} }
@group(0) @binding(0) var<uniform> p: Params;
${[...bindings, ...accessors].join('\n')}
fn flat(id: vec3u) -> u32 { return id.y * ${mostGroups * threadsPerGroup}u + id.x; }
${before}
@compute @workgroup_size(${[threads].flat().join(', ')})
fn main(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
${body}
}`;
  return {
    name,
    tensors: tensors.map(({ name, access }) => [name, access]),
    params: Object.entries(params),
    source,
  };
}

const expanding = (name: string) => `
fn ${name}At(i: u32) -> f32 {
  let word = ${name}[i / 2u];
  return bitcast<f32>(select(word << 16u, word & 0xffff0000u, i % 2u == 1u));
}`;

/** In a program: element `i` of a tensor, as f32. */
export function elementAt(name: string, elements: Elements, i: string): string {
  return elements === 'bf16' ? `${name}At(${i})` : `${name}[${i}]`;
}

const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);

/** The numbers of a kernel as they travel: 32 bits each. */
export function paramsOf({ name, params }: Shader, values: Record<string, number>): number[] {
  return params.map(([param, type]) => {
    if (values[param] === undefined) throw new Error(`${name}: ${param} is missing`);
    if (type === 'u32') return values[param];
    float[0] = values[param];
    return bits[0];
  });
}

export type Groups = [number, number, number];

/** Workgroups for so many threads that work on one element each. */
export function groupsFor(count: number): Groups {
  return rowsOfGroups(Math.ceil(count / threadsPerGroup));
}

/** So many workgroups and a few more: they count themselves by `groupNumber`. */
export function rowsOfGroups(groups: number): Groups {
  return [Math.min(groups, mostGroups), Math.ceil(groups / mostGroups), 1];
}

/** In a program: the number of a workgroup of `rowsOfGroups`. */
export const groupNumber = `(group.y * ${mostGroups}u + group.x)`;

/** In a program: the sum of what all threads of a workgroup have, added up in the same order whatever they are. */
export const sumOf = `
var<workgroup> terms: array<f32, ${threadsPerGroup}>;
fn sumOf(lane: u32, value: f32) -> f32 {
  workgroupBarrier();
  terms[lane] = value;
  for (var half = ${threadsPerGroup / 2}u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { terms[lane] += terms[lane + half]; }
  }
  workgroupBarrier();
  return terms[0];
}`;

/** The same of the largest. */
export const largestOf = `
var<workgroup> candidates: array<f32, ${threadsPerGroup}>;
fn largestOf(lane: u32, value: f32) -> f32 {
  workgroupBarrier();
  candidates[lane] = value;
  for (var half = ${threadsPerGroup / 2}u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { candidates[lane] = max(candidates[lane], candidates[lane + half]); }
  }
  workgroupBarrier();
  return candidates[0];
}`;
