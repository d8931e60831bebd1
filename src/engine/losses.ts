/**
 * The losses by name, as functions of the trained tokens' log-probabilities alone. Backward into the model is therefore
 * one number per token: the gradient of the batch's loss with respect to that token's log-probability.
 *
 * The loss of a batch is the plain sum over its tokens, each with its weight: sequences may come one at a time.
 */
import type { LossSpec } from './types.ts';

/** The arrays of a `Datum` that a loss reads; tokens whose weight is 0 are not trained. */
export interface LossInputs {
  weights: ArrayLike<number>;
  advantages?: ArrayLike<number>;
  behaviourLogprobs?: ArrayLike<number>;
}

/** One sequence's part of a batch. */
export interface SequenceLoss {
  loss: number;
  /** d(batch loss) / d(log-probability), as long as the sequence; 0 on tokens that are not trained. */
  gradient: Float32Array;
  /** Trained tokens. */
  tokens: number;
  /** Sums over the trained tokens; divided by the batch's tokens they are the metrics. */
  metricSums: Record<string, number>;
}

interface TokenLoss {
  loss: number;
  /** d(loss) / d(log-probability). */
  gradient: number;
}

/** Log-ratios beyond this are cut before exponentiation, and teach nothing. */
const MAX_LOG_RATIO = 20;

const METRICS: Record<LossSpec['kind'], string[]> = {
  cross_entropy: [],
  importance_sampling: ['approxKl'],
  ppo: ['approxKl', 'clipFraction', 'clipFractionLower'],
};

/** Loss, gradient and metrics of one sequence, given its log-probabilities under the current weights. */
export function sequenceLoss(sequence: LossInputs, logprobs: ArrayLike<number>, loss: LossSpec): SequenceLoss {
  const { weights } = sequence;
  const gradient = new Float32Array(weights.length);
  const metricSums = Object.fromEntries(METRICS[loss.kind].map(name => [name, 0]));
  const tokenLoss = tokenLossOf(sequence, logprobs, loss, metricSums);
  let total = 0;
  let tokens = 0;
  for (let t = 0; t < weights.length; t++) {
    if (weights[t] === 0) continue;
    tokens++;
    const token = tokenLoss(t);
    total += token.loss;
    gradient[t] = token.gradient;
  }
  return { loss: total, gradient, tokens, metricSums };
}

/**
 * The loss of a token with its weight. The policy losses are as large as their advantage, so weight and advantage enter as
 * one number, rounded to what travels to an engine elsewhere: who is sent only their product computes the same.
 */
function tokenLossOf(
  sequence: LossInputs,
  logprobs: ArrayLike<number>,
  loss: LossSpec,
  sums: Record<string, number>,
): (t: number) => TokenLoss {
  const { weights, advantages, behaviourLogprobs } = sequence;
  if (loss.kind === 'cross_entropy') return t => ({ loss: -logprobs[t] * weights[t], gradient: -weights[t] });

  if (!advantages || !behaviourLogprobs) {
    throw new Error(`The loss ${loss.kind} needs advantages and behaviourLogprobs with every sequence`);
  }
  return t => {
    const logRatio = logprobs[t] - behaviourLogprobs[t];
    const cut = Math.min(Math.max(logRatio, -MAX_LOG_RATIO), MAX_LOG_RATIO);
    sums.approxKl -= cut;
    const ratio = Math.exp(cut);
    const coefficient = Math.fround(advantages[t] * weights[t]);
    const token = loss.kind === 'ppo' ? ppo(coefficient, ratio, loss, sums) : unclipped(coefficient, ratio);
    return { loss: token.loss, gradient: cut === logRatio ? token.gradient : 0 };
  };
}

/** The policy loss of one token as it is: its slope is its value. */
function unclipped(advantage: number, ratio: number): TokenLoss {
  const loss = -advantage * ratio;
  return { loss, gradient: loss };
}

/**
 * The clipped policy loss of one token (Schulman et al. 2017), with separate lower and upper clips (Yu et al. 2025)
 * and the dual clip, which bounds the loss where the advantage is negative (Ye et al. 2020).
 */
function ppo(
  advantage: number,
  ratio: number,
  { clipLow, clipHigh, dualClip }: Extract<LossSpec, { kind: 'ppo' }>,
  sums: Record<string, number>,
): TokenLoss {
  const free = -advantage * ratio;
  const bounded = -advantage * Math.min(Math.max(ratio, 1 - clipLow), 1 + clipHigh);
  const ceiling = dualClip === 'off' ? Number.POSITIVE_INFINITY : -advantage * dualClip;
  const clipped = bounded > free;
  const worse = Math.max(free, bounded);
  const clippedLower = advantage < 0 && worse > ceiling;
  if (clipped) sums.clipFraction++;
  if (clippedLower) sums.clipFractionLower++;
  return { loss: clippedLower ? ceiling : worse, gradient: clipped || clippedLower ? 0 : free };
}
