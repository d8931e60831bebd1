import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { SamplerStatus } from '../engine/local/protocol.ts';

const secondsBuckets = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300];

/** What `/metrics` tells, in Prometheus' format. */
export class ServerMetrics {
  readonly #registry = new Registry();
  readonly requests = new Counter({
    name: 'sod_requests_total',
    help: 'Answered requests',
    labelNames: ['route', 'status'] as const,
    registers: [this.#registry],
  });
  readonly gone = new Counter({
    name: 'sod_clients_gone_total',
    help: 'Clients that went away before their answer was complete',
    registers: [this.#registry],
  });
  readonly promptTokens = new Counter({
    name: 'sod_prompt_tokens_total',
    help: 'Tokens of prompts',
    registers: [this.#registry],
  });
  readonly sampledTokens = new Counter({
    name: 'sod_sampled_tokens_total',
    help: 'Sampled tokens',
    registers: [this.#registry],
  });
  readonly firstToken = new Histogram({
    name: 'sod_time_to_first_token_seconds',
    help: 'From the request to its first token',
    buckets: secondsBuckets,
    registers: [this.#registry],
  });
  readonly duration = new Histogram({
    name: 'sod_request_duration_seconds',
    help: 'From the request to the end of its answer',
    buckets: secondsBuckets,
    registers: [this.#registry],
  });

  /** @param status read anew for each answer of `/metrics` */
  constructor(status: () => Promise<SamplerStatus>) {
    const gauges: [name: string, help: string, read: (status: SamplerStatus) => number][] = [
      ['sod_sequences_running', 'Sequences that are sampled side by side', ({ running }) => running],
      ['sod_sequences_waiting', 'Sequences that wait to be sampled', ({ waiting }) => waiting],
      ['sod_cache_tokens', 'Tokens that the key/value cache has room for', ({ cacheTokens }) => cacheTokens],
      ['sod_cache_held_tokens', 'Cache room of sequences under way', ({ heldTokens }) => heldTokens],
    ];
    for (const [name, help, read] of gauges) {
      new Gauge({
        name,
        help,
        registers: [this.#registry],
        async collect() {
          this.set(read(await status()));
        },
      });
    }
    new Gauge({
      name: 'process_resident_memory_bytes',
      help: 'Memory of the whole process',
      registers: [this.#registry],
      collect() {
        this.set(process.memoryUsage.rss());
      },
    });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}
