/** Where C's PyModuleDef has the name of its module, and what it takes: pointers have four bytes. */
const NAME_AT = 20;
const DEFINITION_BYTES = 52;
const PYTHON_API_VERSION = [0xf5, 0x07]; // 1013, in LEB128

const i32 = 0x7f;
const [globalGet, i32Const, i32Add, i32Store, call, end] = [0x23, 0x41, 0x6a, 0x36, 0x10, 0x0b];

/**
 * An empty module of Python as compilers make them: a WebAssembly library whose `PyInit_` function lets Python create a module
 * of this name. Beside its code it holds `custom`, which nothing reads.
 */
export function compiledModule(name: string, custom = ''): Uint8Array {
  const data = [...new Uint8Array(DEFINITION_BYTES), ...Buffer.from(`${name}\0`)];
  const init = [
    ...[globalGet, 0, globalGet, 0, i32Const, DEFINITION_BYTES, i32Add, i32Store, 2, NAME_AT],
    ...[globalGet, 0, i32Const, ...PYTHON_API_VERSION, call, 0, end],
  ];
  return Uint8Array.from([
    ...Buffer.from('\0asm\x01\0\0\0'),
    // What the linker is to find a place for: bytes of memory, their alignment, and no functions.
    ...section(0, [...text('dylink.0'), 1, ...sized([data.length, 2, 0, 0])]),
    ...section(0, [...text('custom'), ...Buffer.from(custom)]),
    ...section(1, [2, 0x60, 2, i32, i32, 1, i32, 0x60, 0, 1, i32]),
    ...section(2, [
      ...[3, ...text('env'), ...text('PyModule_Create2'), 0, 0],
      ...[...text('env'), ...text('memory'), 2, 0, 0],
      ...[...text('env'), ...text('__memory_base'), 3, i32, 0],
    ]),
    ...section(3, [1, 1]),
    ...section(7, [1, ...text(`PyInit_${name}`), 0, 1]),
    ...section(10, [1, ...sized([0, ...init])]),
    ...section(11, [1, 0, globalGet, 0, end, ...sized(data)]),
  ]);
}

const section = (id: number, content: number[]) => [id, ...sized(content)];
const text = (value: string) => sized([...Buffer.from(value)]);

/** Behind their number, which is below 128 here. */
function sized(bytes: number[]): number[] {
  return [bytes.length, ...bytes];
}
