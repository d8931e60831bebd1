/** Trains adapters of rank 32 over a checkpoint, and tells the most memory that this process had, and the seconds of an update. */
import { LocalEngine } from '../../src/engine/local/engine.ts';
import { linearNames } from '../../src/model/config.ts';

const engine = await LocalEngine.start({ onNotice: notice => process.stderr.write(`${notice}\n`) });
const trainer = await engine.trainer(process.argv[2], { rank: 32, alpha: 32, targets: linearNames, seed: 0 });
const data = [0, 1].map(first => ({
  tokens: Array.from({ length: 512 }, (_, i) => 1000 * first + i),
  weights: new Float32Array(512).fill(1 / 1024),
}));
const adam = { learningRate: 1e-4, betas: [0.9, 0.95] as [number, number], epsilon: 1e-8, weightDecay: 0, clipNorm: 1 };
let seconds = 0;
for (let repeat = 0; repeat < 2; repeat++) {
  const began = performance.now();
  await trainer.forwardBackward(data, { kind: 'cross_entropy' });
  await trainer.optimStep(adam);
  seconds = (performance.now() - began) / 1000;
}
console.log(JSON.stringify({ gib: process.resourceUsage().maxRSS / 2 ** 20, seconds }));
await engine.close();
