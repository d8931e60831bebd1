import { Command } from 'commander';
import { positiveInteger, seedNumber } from './options.ts';

interface Options {
  world: string;
  hiddenSize: number;
  intermediateSize: number;
  layers: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  seed: number;
}

export const initCommand = () =>
  new Command('init')
    .description('Write a fresh model with random weights and a tokenizer made for a world.')
    .argument('<folder>', 'where the model is written; must not exist yet')
    .option('--world <world>', 'world whose dialogues the tokenizer is learned from', 'shop')
    .option('--hidden-size <size>', 'width of the model', positiveInteger, 96)
    .option('--intermediate-size <size>', 'width of its SwiGLU layers', positiveInteger, 256)
    .option('--layers <layers>', 'number of layers', positiveInteger, 3)
    .option('--heads <heads>', 'query heads', positiveInteger, 3)
    .option('--kv-heads <heads>', 'key and value heads, a divisor of the query heads', positiveInteger, 1)
    .option('--head-dim <size>', 'width of a head', positiveInteger, 32)
    .option('--seed <seed>', 'of the weights', seedNumber, 0)
    .addHelpText(
      'after',
      `
Example:
  sod init models/tiny --world shop --hidden-size 64 --layers 2

The folder has the Hugging Face layout (config.json, model.safetensors, tokenizer.json …). A recipe can make its own
fresh model with the section init instead.`,
    )
    .action(async (folder: string, { world: name, seed, ...shape }: Options) => {
      const [{ existsSync }, { UserError }, { openWorld }, { initializeCheckpoint }] = await Promise.all([
        import('node:fs'),
        import('../errors.ts'),
        import('../worlds/open.ts'),
        import('../train/initialize.ts'),
      ]);
      if (existsSync(folder)) throw new UserError(`${folder} already exists: choose another folder or remove it`);
      const { world, close } = await openWorld(name);
      try {
        await initializeCheckpoint(folder, { ...shape, tieEmbeddings: true }, world, seed);
      } finally {
        await close();
      }
      console.log(`${folder} holds a fresh model of ${shape.layers} layers of width ${shape.hiddenSize}`);
    });
