import type { Engine } from '../src/engine/types.ts';

/** An engine whose learning rate rises a hundredfold after so many updates: what it trains collapses. */
export function collapsingEngine(engine: Engine, goodUpdates: number): Engine {
  return {
    scorer: checkpoint => engine.scorer(checkpoint),
    sampler: checkpoint => engine.sampler(checkpoint),
    close: () => engine.close(),
    async trainer(checkpoint) {
      const trainer = await engine.trainer(checkpoint);
      const step = trainer.optimStep.bind(trainer);
      let updates = 0;
      trainer.optimStep = adam => {
        const factor = updates++ < goodUpdates ? 1 : 100;
        return step({ ...adam, learningRate: factor * adam.learningRate });
      };
      return trainer;
    },
  };
}
