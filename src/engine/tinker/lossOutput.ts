import { UserError } from '../../errors.ts';
import { sequenceLoss } from '../losses.ts';
import type { Datum, LossOutput, LossSpec } from '../types.ts';
import type { Answer } from './connection.ts';
import { protobufOf } from './futures.ts';
import { behindFirst, type ForwardBackwardOutput, floatsOf, forwardBackwardOutput, int64sOf } from './messages.ts';

/** How far a server's loss may be from ours, as a part of what the tokens add to it. */
const tolerance = 0.02;

/**
 * What a server made of training data: loss and metrics are computed here, from the log-probabilities that it gave, so that they
 * mean the same with every server.
 * @throws UserError where the server tells another loss; Error where the answer makes no sense
 */
export function lossOutput(data: readonly Datum[], loss: LossSpec, answer: Answer, url: string): LossOutput {
  const message = forwardBackwardOutput.decode(protobufOf(answer));
  const logprobs = readPerToken(message, 'logprobs', data);
  const output: LossOutput = { loss: 0, tokens: 0, logprobs, metrics: {} };
  const sums: Record<string, number> = {};
  let weight = 0;
  data.forEach((datum, i) => {
    const part = sequenceLoss(datum, logprobs[i], loss);
    output.loss += part.loss;
    output.tokens += part.tokens;
    for (const gradient of part.gradient) weight += Math.abs(gradient);
    for (const [name, sum] of Object.entries(part.metricSums)) sums[name] = (sums[name] ?? 0) + sum;
  });
  for (const [name, sum] of Object.entries(sums)) output.metrics[name] = sum / Math.max(output.tokens, 1);
  const { 'loss:sum': told, 'entropy:mean': entropy } = message.metrics;
  if (told !== undefined && Math.abs(told - output.loss) > tolerance * weight + 1e-9) {
    throw new UserError(
      `${url}: its loss is ${told}, and from the log-probabilities that it gave follows ${output.loss}; ` +
        'does engine.dialect name what it is?',
    );
  }
  if (entropy !== undefined) output.metrics.entropy = entropy;
  return output;
}

/** Of all parts of a batch. */
export function together(parts: readonly LossOutput[]): LossOutput {
  const tokens = parts.reduce((sum, part) => sum + part.tokens, 0);
  const names = Object.keys(parts[0].metrics);
  const mean = (name: string) =>
    parts.reduce((sum, part) => sum + part.metrics[name] * part.tokens, 0) / Math.max(tokens, 1);
  return {
    loss: parts.reduce((sum, part) => sum + part.loss, 0),
    tokens,
    logprobs: parts.flatMap(part => part.logprobs),
    metrics: Object.fromEntries(names.map(name => [name, mean(name)])),
  };
}

/**
 * What a server tells of every target under a name, for each sequence as long as its tokens; 0 for the first.
 * @throws Error where that makes no sense
 */
export function readPerToken(
  { lossFnOutputs }: ForwardBackwardOutput,
  name: string,
  data: readonly Datum[],
): Float32Array[] {
  const told = lossFnOutputs.flatMap(({ fields }) => {
    const offsets = int64sOf(fields[name].offsets);
    return offsets.slice(1).map((end, i) => floatsOf(fields[name].data.subarray(offsets[i], end)));
  });
  if (told.length !== data.length) throw new Error(`${name} of ${told.length} sequences came for ${data.length}`);
  return data.map(({ tokens }, i) => {
    if (told[i].length !== tokens.length - 1) {
      throw new Error(`${told[i].length} ${name} came for ${tokens.length - 1} targets`);
    }
    return behindFirst(told[i]);
  });
}
