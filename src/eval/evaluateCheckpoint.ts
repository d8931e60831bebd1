import type { Engine } from '../engine/types.ts';
import { loadChat } from '../text/loadChat.ts';
import { openWorld } from '../worlds/open.ts';
import { type Evaluation, type EvaluationControl, type EvaluationSettings, evaluate } from './evaluate.ts';

/**
 * Measures the model in folder `checkpoint` on held-out tasks of a world, given by name or module path.
 * @throws UserError if there is no model or no such world; AbortError when the signal fires.
 */
export async function evaluateCheckpoint(
  engine: Engine,
  checkpoint: string,
  worldName: string,
  settings: EvaluationSettings,
  control: EvaluationControl = {},
): Promise<Evaluation> {
  const sampler = await engine.sampler(checkpoint);
  const chat = loadChat(checkpoint);
  const { world, close } = await openWorld(worldName);
  try {
    return await evaluate(sampler, chat, world, settings, control);
  } finally {
    await close();
  }
}
