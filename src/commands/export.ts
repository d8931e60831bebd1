import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { UserError } from '../errors.ts';
import type { Dtype } from '../model/dtype.ts';
import { checkpointHelp, checkpointHere } from './checkpointArgument.ts';
import { interruptible } from './interrupt.ts';

interface Options {
  format: 'gguf' | 'safetensors';
  type?: 'f32' | 'f16' | 'bf16' | 'q8_0';
  out?: string;
  name?: string;
  force?: boolean;
}

export const exportCommand = () =>
  new Command('export')
    .description('Write a model in the format of other programs.')
    .argument('<checkpoint>', checkpointHelp)
    .addOption(new Option('--format <format>', 'of the model').choices(['gguf', 'safetensors']).default('gguf'))
    .addOption(
      new Option('--type <type>', "of the weights (default: the checkpoint's own)").choices([
        'f32',
        'f16',
        'bf16',
        'q8_0',
      ]),
    )
    .option('--out <path>', 'file, or for safetensors folder (default: <name>-<type>.gguf, <name>-<type>)')
    .option('--name <name>', "the model's name (default: its folder's or run's name)")
    .option('--force', 'replace what is there')
    .addHelpText(
      'after',
      `
Examples:
  sod export runs/demo/student-sod/final --type q8_0      one GGUF file, for llama.cpp, Ollama, LM Studio, Docker
  sod export runs/mine/final --format safetensors --type bf16 --out my-model
  sod export model-q8_0.gguf --format safetensors         a GGUF file as a folder that can be trained`,
    )
    .action(async (given: string, options: Options) => {
      const [{ readCheckpoint, writeCheckpoint }, { ownType, writeGguf }, { modelName }] = await Promise.all([
        import('../checkpoint/checkpoint.ts'),
        import('../gguf/write.ts'),
        import('../modelName.ts'),
      ]);
      if (options.format === 'safetensors' && options.type === 'q8_0') {
        throw new UserError('safetensors has no q8_0; take --type f32, f16 or bf16, or --format gguf');
      }
      const checkpoint = await checkpointHere(given);
      const model = readCheckpoint(checkpoint);
      try {
        const name = options.name ?? modelName(checkpoint);
        const type = options.type ?? ownType(model);
        const out = options.out ?? join('.', `${name}-${type}${options.format === 'gguf' ? '.gguf' : ''}`);
        if (existsSync(out) && !options.force) throw new UserError(`${out} is there already; --force replaces it`);
        if (options.format === 'gguf') {
          await interruptible(
            signal => writeGguf(out, model, { type, name, signal, onProgress: showProgress }),
            'Stopping; nothing is left of the file.',
          );
        } else {
          const dtype = type.toUpperCase() as Dtype;
          const tensors = model.tensors.map(tensor => ({ ...tensor, dtype }));
          await writeCheckpoint(out, model.config, tensors, { from: model.dir });
        }
        console.log(`${name} as ${type}: ${out}`);
      } finally {
        model.close();
      }
    });

function showProgress(done: number, total: number): void {
  if (!process.stderr.isTTY) return;
  process.stderr.write(`\r${((100 * done) / total).toFixed(0)} %${done === total ? '\n' : ''}`);
}
