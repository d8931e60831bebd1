import type { Bench } from './bench.ts';
import { Peer } from './peer.ts';
import type { GpuCeilings } from './peers/gpuCeilings.ts';
import type { Precision, Product } from './product.ts';

/** This project's engine in a process of its own. */
export class Sod {
  readonly #peer: Peer;

  private constructor(peer: Peer) {
    this.#peer = peer;
  }

  static with<T>({ programs }: Pick<Bench, 'programs'>, load: Load, body: (sod: Sod) => Promise<T>): Promise<T> {
    return Peer.with(programs.sod, { ...load }, peer => body(new Sod(peer)));
  }

  /** Of each repetition. */
  async seconds(work: Record<string, unknown>): Promise<number[]> {
    return (await this.#peer.request(work)).seconds;
  }

  /** Of each repetition of a whole update, phase by phase. */
  async phases(work: Record<string, unknown>): Promise<Record<string, number>[]> {
    return (await this.#peer.request<{ phases: Record<string, number>[] }>(work)).phases;
  }

  cpu(): Promise<{ isa: string; bf16: boolean }> {
    return this.#peer.request({ op: 'cpu' });
  }

  gpu(): Promise<GpuCeilings> {
    return this.#peer.request({ op: 'gpu' });
  }

  /** Operations a second of the gradient of the product's weight alone, now. */
  async weightGradient(product: Product, precision: Precision): Promise<number> {
    return (await this.#peer.request<{ flops: number }>({ op: 'weightGradient', product, precision })).flops;
  }

  /** Operations a second of the matrix product alone, now. */
  async product(product: Product, precision: Precision): Promise<number> {
    return (await this.#peer.request<{ flops: number }>({ op: 'product', product, precision })).flops;
  }

  /** Most bytes that were resident so far. */
  async memory(): Promise<number> {
    return (await this.#peer.request<{ bytes: number }>({ op: 'memory' })).bytes;
  }

  /** Share of the time of the work in which the engine had nothing to do. */
  async idle(work: Record<string, unknown>): Promise<number> {
    return (await this.#peer.request<{ idle: number }>(work)).idle;
  }
}

/** The models that the process opens: none, to measure the kernels alone. */
interface Load {
  checkpoint?: string;
  role?: 'trainer' | 'scorer' | 'sampler';
  /** A second model, which scores. */
  teacher?: string;
  options?: Record<string, unknown>;
}
