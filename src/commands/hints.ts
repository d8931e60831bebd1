import { Command } from 'commander';
import { parseDataset } from '../data/dataset.ts';
import { UserError } from '../errors.ts';
import { interruptible } from './interrupt.ts';
import { nonNegativeNumber, positiveInteger, seedNumber } from './options.ts';
import { openPolicy, type PolicyOptions, serverHelp, withPolicy } from './policyOptions.ts';
import { showCount } from './showCount.ts';
import { showDownload } from './showDownload.ts';
import { type ToolOption, toolOf, withTool } from './toolOption.ts';

interface Options extends PolicyOptions, ToolOption {
  dataset: string;
  limit?: number;
  maxSkipped: number;
  temperature: number;
  maxPromptTokens: number;
  maxTokens: number;
  seed: number;
  out: string;
}

export const hintsCommand = () =>
  withTool(
    withPolicy(
      new Command('hints')
        .description('Let a teacher that sees the answers write a hint for each problem, for opsd-hint.')
        .requiredOption('--dataset <source>', 'a file or folder of problems, or hf: and a name on the Hub')
        .option('--limit <problems>', 'only the first problems', positiveInteger)
        .option('--max-skipped <share>', 'share of the rows that may be left out', nonNegativeNumber, 0.05)
        .option('--temperature <t>', 'of sampling; 0 is greedy', nonNegativeNumber, 0)
        .option('--max-prompt-tokens <tokens>', 'a longer prompt is refused', positiveInteger, 8192)
        .option('--max-tokens <tokens>', 'of a hint; what is longer is none', positiveInteger, 512)
        .option('--seed <seed>', 'of sampling', seedNumber, 0)
        .requiredOption('--out <file>', 'JSON lines with the problems and their hints'),
    ),
  )
    .addHelpText(
      'after',
      `
Examples:
  sod hints models/my-teacher --dataset problems.jsonl --out hinted.jsonl
  sod hints models/my-teacher --server http://gpu-7:8000 --dataset hf:org/problems --out hinted.jsonl
  sod train my-opsd-hint.yaml --set dataset=hinted.jsonl

The prompts in the file are complete, with the tool called as --tool says. Problems whose hint is empty, or did not come to its
end, are left out. Ctrl-C stops, and the same command goes on; the file is written when all is done.
${serverHelp}`,
    )
    .action(async (checkpoint: string, options: Options) => {
      const [{ writeHints }, { openDatasetWorld }, { existsSync }] = await Promise.all([
        import('../hints/writeHints.ts'),
        import('../worlds/dataset.ts'),
        import('node:fs'),
      ]);
      const { dataset, out, limit, maxSkipped, temperature, maxPromptTokens, maxTokens, seed } = options;
      if (existsSync(out)) throw new UserError(`${out} already exists: choose another file or remove it`);
      const control = { onDownload: showDownload, onNotice: console.error };
      const { engine, folder, servedAs } = await openPolicy(checkpoint, options);
      try {
        const offered = { tool: await toolOf(options, folder) };
        const reading = { equivalence: 'exact' as const, limit, maxSkipped, offered };
        const problems = await openDatasetWorld(parseDataset(dataset), reading, control);
        const limits = { maxTurns: 1, maxPromptTokens, maxResponseTokens: maxTokens };
        const sampling = { samples: 1, runs: 1, temperature, topP: 1, seed, ...limits };
        const { written, total } = await interruptible(
          signal =>
            writeHints(
              engine,
              folder,
              problems,
              sampling,
              { out, servedAs },
              {
                signal,
                concurrency: options.concurrency,
                onProgress: (done, total) => showCount('hints', done, total),
              },
            ),
          'Stopping; the same command goes on from here. Once more to stop at once.',
        ).finally(() => problems.close());
        console.log(`${out} holds ${written} problems with hints, of ${total}`);
      } finally {
        await engine.close();
      }
    });
