import { type Bench, note } from './bench.ts';
import { median } from './median.ts';
import { ggufTypes } from './models.ts';
import { Peer } from './peer.ts';
import type { Run, Work } from './torch.ts';

type GgufType = (typeof ggufTypes)[number];

export function withLlama<T>(
  { programs, models, threads }: Bench,
  type: GgufType,
  body: (run: Run) => Promise<T>,
): Promise<T> {
  return Peer.with(programs.llama, { gguf: models.largeGguf[type], threads }, peer =>
    body(async work => (await peer.request(work)).seconds),
  );
}

/** In which format, of those in 16 bits or more, llama.cpp does that work fastest: one short try of each. */
export async function bestGguf(bench: Bench, work: Work): Promise<GgufType> {
  const tries: { type: GgufType; seconds: number }[] = [];
  for (const type of ggufTypes) {
    const seconds = await withLlama(bench, type, async run => median(await run({ ...work, repeats: 1 })));
    tries.push({ type, seconds });
  }
  const [best] = tries.toSorted((a, b) => a.seconds - b.seconds);
  note(
    `llama.cpp, ${work.op}: ${best.type} (${tries.map(({ type, seconds }) => `${type} ${seconds.toFixed(2)} s`).join(', ')})`,
  );
  return best.type;
}
