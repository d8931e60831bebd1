import { sequenceLoss } from '../../engine/losses.ts';
import { bytesOf, dtypes, forwardBackwardOutput, int64Bytes } from '../../engine/tinker/messages.ts';
import type { Datum, LossOutput, LossSpec, Scores } from '../../engine/types.ts';
import type { Result } from './futures.ts';

/** What came of a backward pass: the log-probability of each trained target, the loss, and means over the trained tokens. */
export function trainingResult({ loss, logprobs, metrics }: LossOutput): Result {
  const means = Object.entries(metrics).map(([name, value]) => [`${name}:mean`, value]);
  return result(
    logprobs.map(logprobs => ({ logprobs })),
    { 'loss:sum': loss, ...Object.fromEntries(means) },
  );
}

/** Of a forward pass alone; and the entropy in the place of each target. */
export function forwardResult(data: readonly Datum[], loss: LossSpec, scores: readonly Scores[]): Result {
  const losses = data.map((datum, i) => sequenceLoss(datum, scores[i].logprobs, loss).loss);
  return result(
    scores.map(({ logprobs, entropies }) => ({ logprobs, entropies: entropies! })),
    { 'loss:sum': losses.reduce((sum, loss) => sum + loss, 0) },
  );
}

/** @param outputs for each sequence, arrays as long as its tokens, of which the first is no target */
function result(outputs: Record<string, Float32Array>[], metrics: Record<string, number>): Result {
  const fields = <T>(output: Record<string, Float32Array>, form: (values: Float32Array) => T) =>
    Object.fromEntries(Object.entries(output).map(([name, values]) => [name, form(values.subarray(1))]));
  return {
    protobuf: () =>
      forwardBackwardOutput.encode({
        lossFnOutputType: 'scalar',
        lossFnOutputs: outputs.map(output => ({
          typeTag: '',
          fields: fields(output, values => ({
            data: bytesOf(values),
            offsets: int64Bytes([0, values.byteLength]),
            dtype: dtypes.float32,
            trailingShape: [],
          })),
          numDatums: 1,
        })),
        metrics,
      }),
    json: () => ({
      loss_fn_output_type: 'scalar',
      loss_fn_outputs: outputs.map(output =>
        fields(output, values => ({ data: Array.from(values), dtype: 'float32', shape: [values.length] })),
      ),
      metrics,
    }),
  };
}
