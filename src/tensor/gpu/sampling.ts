import type { Device, Id } from '../device.ts';
import { native } from '../native.ts';
import type { GpuMemory } from './memory.ts';

/** Sampling is the CPU's: it reads the logits, which are no more than a row a sequence, and draws from them as it does from its own. */
export function samplingKernels(memory: GpuMemory): Pick<Device, 'sample' | 'topTokens'> {
  /** `compute` is given tensors of the CPU like these; what it writes into the first of them is written back. */
  const onCpu = (results: Id[], inputs: (Id | null)[], compute: (results: Id[], inputs: (Id | null)[]) => void) => {
    const made: Id[] = [];
    const twin = (id: Id) => {
      const { dtype, shape } = memory.get(id);
      made.push(native.allocate(dtype, shape));
      return made.at(-1)!;
    };
    try {
      const ownResults = results.map(twin);
      const ownInputs = inputs.map(id => {
        if (id === null) return null;
        const own = twin(id);
        native.write(own, memory.read(memory.get(id)));
        return own;
      });
      compute(ownResults, ownInputs);
      results.forEach((id, i) => {
        memory.write(memory.get(id), native.read(ownResults[i]));
      });
    } finally {
      for (const id of made) native.release(id);
    }
  };
  return {
    sample(tokens, logprobs, logits, temperatures, topPs, topKs, uniforms, masks, maskOf) {
      const inputs = [logits, temperatures, topPs, topKs, uniforms, masks, maskOf];
      onCpu(
        [tokens, logprobs],
        inputs,
        ([tokens, logprobs], [logits, temperatures, topPs, topKs, uniforms, ...masks]) => {
          native.sample(tokens, logprobs, logits!, temperatures!, topPs!, topKs!, uniforms!, masks[0], masks[1]);
        },
      );
    },
    topTokens(...all) {
      const inputs = all.slice(4);
      onCpu(all.slice(0, 4), inputs, ([tokens, logprobs, ranks, targetLogprobs], [logits, targets]) => {
        native.topTokens(tokens, logprobs, ranks, targetLogprobs, logits!, targets!);
      });
    },
  };
}
