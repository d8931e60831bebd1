import type { Engine } from '../engine/types.ts';
import { loadChat } from '../text/loadChat.ts';
import type { World } from '../worlds/world.ts';
import { type Evaluation, type EvaluationControl, type EvaluationSettings, evaluate } from './evaluate.ts';

/**
 * Measures the model in folder `checkpoint` on held-out tasks of a world.
 * @throws UserError if there is no model; AbortError when the signal fires.
 */
export async function evaluateCheckpoint(
  engine: Engine,
  checkpoint: string,
  world: World,
  settings: EvaluationSettings,
  control: EvaluationControl = {},
): Promise<Evaluation> {
  const sampler = await engine.sampler(checkpoint);
  return evaluate(sampler, loadChat(checkpoint, { enableThinking: settings.thinking }), world, settings, control);
}
