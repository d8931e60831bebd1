import { expect, test } from 'vitest';
import { dialects } from '../../../src/engine/tinker/dialect.ts';
import {
  floatsOf,
  forwardBackwardOutput,
  forwardBackwardRequest,
  int32sOf,
  int64sOf,
  sampleResponse,
} from '../../../src/engine/tinker/messages.ts';
import { wireDatum, wireLoss } from '../../../src/engine/tinker/trainingData.ts';

/** What the official SDK sent to a SkyRL server, and what that answered. */
const request =
  '0a0e6d6f64656c5f303235343639343010011a740a140a120a100b010000760000008a000000c000000012380a0d7461726765745f746f6b656e73' +
  '12270a2076000000000000008a00000000000000c0000000000000003501000000000000180222010412220a077765696768747312170a10000080' +
  '3f0000803f0000803f0000803f1801220104220d63726f73735f656e74726f7079';
const answer =
  '0a067363616c6172127212320a086c6f6770726f627312260a10a848b5c17eaed8c1fead88c17beba5c1121000000000000000001000000000000' +
  '0001801123a0a10656c656d656e74776973655f6c6f737312260a10a848b5417eaed841fead88417beba541121000000000000000001000000000' +
  '00000018011801';

test('a training request is the bytes that the official SDK sends', () => {
  const datum = { tokens: [267, 118, 138, 192, 309], weights: Float32Array.of(0, 1, 1, 1, 1) };
  const bytes = forwardBackwardRequest.encode({
    modelId: 'model_02546940',
    seqId: 1,
    data: [wireDatum(datum, { kind: 'cross_entropy' }, dialects.tinker, 1)],
    lossFn: 'cross_entropy',
  });
  expect(Buffer.from(bytes).toString('hex')).toBe(request);
});

test('results are read as a SkyRL server sends them', () => {
  const { lossFnOutputs, lossFnOutputType } = forwardBackwardOutput.decode(Buffer.from(answer, 'hex'));
  expect(lossFnOutputType).toBe('scalar');
  const { logprobs, elementwise_loss: losses } = lossFnOutputs[0].fields;
  expect(int64sOf(logprobs.offsets)).toEqual([0, 16]);
  expect(floatsOf(logprobs.data)).toEqual(floatsOf(losses.data).map(value => -value));
  expect(floatsOf(logprobs.data)[0]).toBeCloseTo(-22.66, 2);

  const { sequences } = sampleResponse.decode(Buffer.from('0a0c1204350100001a04008066ba', 'hex'));
  expect(sequences[0].stopReason).toBe(0);
  expect([...int32sOf(sequences[0].tokens)]).toEqual([309]);
  expect(floatsOf(sequences[0].logprobs)).toHaveLength(1);
});

test('coefficients are encoded for what a server makes of them', () => {
  const datum = {
    tokens: [5, 6, 7, 8],
    weights: Float32Array.of(0, 0, 0.25, 0.5),
    advantages: Float32Array.of(0, 9, -2, 4),
    behaviourLogprobs: Float32Array.of(0, -1, -2, -3),
  };
  const sent = (name: keyof typeof dialects, key: string) => {
    const { lossFnInputs } = wireDatum(datum, { kind: 'importance_sampling' }, dialects[name], 2);
    return key in lossFnInputs ? [...floatsOf(lossFnInputs[key].dense)] : undefined;
  };
  expect([sent('sod', 'advantages'), sent('sod', 'weights')]).toEqual([
    [9, -2, 4],
    [0, 0.25, 0.5],
  ]);
  expect([sent('tinker', 'advantages'), sent('tinker', 'weights')]).toEqual([[0, -0.5, 2], undefined]);
  // A mean over 3 targets, then over 2 sequences.
  expect(sent('skyrl-jax', 'advantages')).toEqual([0, -3, 12]);
  expect(sent('skyrl-fsdp', 'logprobs')).toEqual([-1, -2, -3]);
  expect(wireLoss({ kind: 'ppo', clipLow: 0.25, clipHigh: 0.5, dualClip: 'off' }, dialects.tinker)).toEqual({
    lossFn: 'ppo',
    lossFnConfig: { clip_low_threshold: 0.75, clip_high_threshold: 1.5 },
  });
});
