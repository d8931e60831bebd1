import type { Device } from '../device.ts';
import type { GpuMemory } from './memory.ts';

/** How one token is drawn. Greedily at temperature 0; `uniform` is the only chance. */
interface Choice {
  temperature: number;
  topP: number;
  topK: number;
  uniform: number;
}

/** Sampling is the CPU's: it reads the logits, which are no more than a row a sequence. */
export function samplingKernels(memory: GpuMemory): Pick<Device, 'sample' | 'topTokens'> {
  return {
    sample(tokensId, logprobsId, logitsId, ...choices) {
      const logits = memory.get(logitsId);
      const [count, vocab] = logits.shape;
      const all = memory.read(logits) as Float32Array;
      const [temperatures, topPs, topKs, uniforms, masks, maskOf] = choices.map(id =>
        id === null ? undefined : memory.read(memory.get(id)),
      );
      const tokens = new Int32Array(count);
      const logprobs = new Float32Array(count);
      const words = Math.ceil(vocab / 32);
      for (let i = 0; i < count; i++) {
        const row = all.subarray(i * vocab, (i + 1) * vocab);
        const mask = maskOf?.[i] ?? -1;
        const allowed = mask < 0 ? row : masked(row, masks!.subarray(mask * words, (mask + 1) * words) as Int32Array);
        const [temperature, topP, topK, uniform] = [temperatures, topPs, topKs, uniforms].map(of => of![i]);
        tokens[i] = draw(allowed, { temperature, topP, topK, uniform });
        logprobs[i] = row[tokens[i]] - logMass(row);
      }
      memory.write(memory.get(tokensId), tokens);
      memory.write(memory.get(logprobsId), logprobs);
    },
    topTokens(tokensId, logprobsId, ranksId, targetLogprobsId, logitsId, targetsId) {
      const logits = memory.get(logitsId);
      const [count, vocab] = logits.shape;
      const all = memory.read(logits) as Float32Array;
      const targets = memory.intsOf(memory.get(targetsId));
      const k = memory.get(tokensId).shape[1];
      const [tokens, ranks] = [new Int32Array(count * k), new Int32Array(count)];
      const [logprobs, targetLogprobs] = [new Float32Array(count * k), new Float32Array(count)];
      for (let i = 0; i < count; i++) {
        const row = all.subarray(i * vocab, (i + 1) * vocab);
        const mass = logMass(row);
        const best = likeliest(row, k);
        tokens.set(best, i * k);
        logprobs.set(
          best.map(token => row[token] - mass),
          i * k,
        );
        const target = row[targets[i]];
        ranks[i] = row.reduce((rank, other) => (other > target ? rank + 1 : rank), 1);
        targetLogprobs[i] = target - mass;
      }
      memory.write(memory.get(tokensId), tokens);
      memory.write(memory.get(logprobsId), logprobs);
      memory.write(memory.get(ranksId), ranks);
      memory.write(memory.get(targetLogprobsId), targetLogprobs);
    },
  };
}

/** A row in which only tokens are left whose bit is set. */
function masked(row: Float32Array, mask: Int32Array): Float32Array {
  return row.map((value, token) => ((mask[token >> 5] >>> (token & 31)) & 1 ? value : Number.NEGATIVE_INFINITY));
}

function highest(row: Float32Array): number {
  let best = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < row.length; i++) if (row[i] > best) best = row[i];
  return best;
}

/** log Σ e^l */
function logMass(row: Float32Array): number {
  const best = highest(row);
  let mass = 0;
  for (let i = 0; i < row.length; i++) mass += Math.exp(row[i] - best);
  return best + Math.log(mass);
}

function draw(row: Float32Array, { temperature, topP, topK, uniform }: Choice): number {
  const best = highest(row);
  if (temperature <= 0) return Math.max(0, row.indexOf(best));
  const weights = row.map(value => Math.exp((value - best) / temperature));
  let total = 0;
  for (let i = 0; i < weights.length; i++) total += weights[i];
  if (topP >= 1 && (topK <= 0 || topK >= row.length)) return passing(weights, uniform * total);
  const kept = nucleus(weights, topP < 1 ? topP * total : Number.POSITIVE_INFINITY, topK > 0 ? topK : row.length);
  const left = Float32Array.from(kept, token => weights[token]);
  return kept[passing(left, uniform * left.reduce((sum, weight) => sum + weight, 0))];
}

/** The first index at which the running sum passes `goal`, the last with a weight where none does. */
function passing(weights: Float32Array, goal: number): number {
  let last = 0;
  for (let i = 0, sum = 0; i < weights.length; i++) {
    if (weights[i] <= 0) continue;
    sum += weights[i];
    if (sum > goal) return i;
    last = i;
  }
  return last;
}

/** The likeliest tokens, until they weigh `mass` together or are `most`. Only what may be among them is sorted. */
function nucleus(weights: Float32Array, mass: number, most: number): number[] {
  for (let least = 2 ** -6; ; least = least > 1e-30 ? least * 2 ** -6 : 0) {
    const candidates: number[] = [];
    let sum = 0;
    for (let token = 0; token < weights.length; token++) {
      if (weights[token] < least) continue;
      candidates.push(token);
      sum += weights[token];
    }
    if (sum < mass && candidates.length < most && least > 0) continue;
    candidates.sort((a, b) => weights[b] - weights[a] || a - b);
    let end = 0;
    for (let sum = 0; end < Math.min(most, candidates.length) && (end === 0 || sum < mass); end++) {
      sum += weights[candidates[end]];
    }
    return candidates.slice(0, end);
  }
}

/** The `count` likeliest tokens of a row, the best first. */
function likeliest(row: Float32Array, count: number): number[] {
  const best: number[] = [];
  for (let token = 0; token < row.length; token++) {
    if (best.length === count && !(row[token] > row[best[count - 1]])) continue;
    let place = Math.min(best.length, count - 1);
    while (place > 0 && row[best[place - 1]] < row[token]) place--;
    best.splice(place, 0, token);
    best.length = Math.min(best.length, count);
  }
  return best;
}
