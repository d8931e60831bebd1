/** The part of the WebAssembly interface that is used here; TypeScript declares it only together with the browser's. */

export type Import = (...args: never[]) => unknown;
export type Imports = Record<string, Record<string, Import>>;

export interface Instance {
  exports: {
    memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
    [name: string]: unknown;
  };
}

interface WebAssemblyInterface {
  instantiate(source: unknown, imports?: Imports): Promise<unknown>;
  compile(binary: unknown): Promise<object>;
  Module: { imports(module: object): { module: string; name: string; kind: string }[] };
}

export const webAssembly = (globalThis as unknown as { WebAssembly: WebAssemblyInterface }).WebAssembly;
