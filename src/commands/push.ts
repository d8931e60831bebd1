import { join } from 'node:path';
import cliProgress from 'cli-progress';
import { Command } from 'commander';
import type { ModelFiles } from '../checkpoint/publicFiles.ts';
import { UserError } from '../errors.ts';
import { interruptible } from './interrupt.ts';
import { repositoryName } from './options.ts';

interface Options {
  private?: boolean;
  revision: string;
  message?: string;
  dryRun?: boolean;
}

export const pushCommand = () =>
  new Command('push')
    .description('Upload a model to the Hugging Face Hub, with its model card.')
    .argument('<org/name>', 'what it is called on the Hub; made if it is not there', repositoryName)
    .argument('[checkpoint]', 'folder of the model, such as runs/mine/final')
    .option('--private', 'for you and your organization alone')
    .option('--revision <branch>', 'branch that gets the commit; made if it is not there', 'main')
    .option('--message <text>', 'of the commit')
    .option('--dry-run', 'only list what would go and what would not, without network')
    .addHelpText(
      'after',
      `
Examples:
  sod push my-name/my-model runs/mine/final --dry-run
  sod push my-name/my-model runs/mine/final --private
  HF_TOKEN=hf_… sod push my-name/my-model runs/mine/final --message "Longer training"

Weights, configuration, tokenizer, GGUF files, README.md and LICENSE go; optimizer state, temporary files, records of the
training and all else stay. A README.md is written first where there is none, and renewed where sod card wrote it (its licence
is kept: sod card --license); one of your own goes as it is. The token is that of HF_TOKEN or of hf auth login; HF_ENDPOINT is
another Hub. Ctrl-C stops: nothing is published until all is there, and the same command goes on.`,
    )
    .action(async (name: string, checkpoint: string | undefined, options: Options) => {
      if (!checkpoint) {
        throw new UserError(`which model? Give its folder after the name: sod push ${name} runs/mine/final`);
      }
      const [{ cardFacts }, { modelCard }, { isUnedited, licenseOf, readCard, writeCard }, { modelFiles }] =
        await Promise.all([
          import('../card/facts.ts'),
          import('../card/card.ts'),
          import('../card/cardFile.ts'),
          import('../checkpoint/publicFiles.ts'),
        ]);
      const readme = join(checkpoint, 'README.md');
      const facts = await cardFacts(checkpoint, { name });
      if (facts.adapter && !facts.adapter.isOnHub) {
        throw new UserError(
          `${checkpoint} holds adapters of a model that others do not have, ${facts.adapter.base}: push the whole model, ` +
            `written by sod export ${checkpoint} --format safetensors`,
        );
      }
      const before = readCard(readme);
      const isOurs = before === undefined || isUnedited(before);
      const license = licenseOf(before ?? '');
      if (isOurs && !options.dryRun) writeCard(readme, modelCard({ ...facts, license }));
      const found = modelFiles(checkpoint);
      if (options.dryRun) {
        console.log(listing(name, options, found));
        if (isOurs) console.log(`\nREADME.md is ${before === undefined ? 'written' : 'renewed'} by sod card first.`);
        return;
      }
      if (!license) console.error('The model card states no licence: sod card --license adds it');
      const { push } = await import('../hub/push.ts');
      const bar = new UploadBar();
      const { private: isPrivate, revision, message } = options;
      const { url } = await interruptible(
        signal =>
          push(
            { name, folder: checkpoint, files: found.files, revision, isPrivate, message },
            { signal, onProgress: (sent, total) => bar.show(sent, total) },
          ),
        'Stopping; nothing is published, and the same command goes on from here.',
      ).finally(() => bar.close());
      console.log(`Published: ${url}`);
    });

function listing(name: string, options: Options, { files, leftOut }: ModelFiles): string {
  const size = (bytes: number) =>
    bytes < 1e6
      ? `${(bytes / 1e3).toFixed(1)} kB`
      : `${(bytes / 1e6).toLocaleString('en-US', { maximumFractionDigits: 1 })} MB`;
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const width = Math.max(...[...files, ...leftOut].map(({ path }) => path.length));
  return [
    `To ${name}, branch ${options.revision}${options.private ? ', private' : ''}: ${files.length} files, ${size(total)}`,
    ...files.map(({ path, bytes }) => `  ${path.padEnd(width)}  ${size(bytes).padStart(10)}`),
    ...(leftOut.length ? ['Left out:'] : []),
    ...leftOut.map(({ path, reason }) => `  ${path.padEnd(width)}  ${reason}`),
  ].join('\n');
}

/** One live line in a terminal; elsewhere nothing until the end. */
class UploadBar {
  #bar?: cliProgress.SingleBar;

  show(sentBytes: number, totalBytes: number): void {
    if (!process.stderr.isTTY) return;
    const megabytes = (bytes: number) => Math.ceil(bytes / 1e6);
    if (!this.#bar) {
      const format = 'uploading  {bar} {value}/{total} MB  {eta_formatted} left';
      this.#bar = new cliProgress.SingleBar({ format, barsize: 24, hideCursor: true, gracefulExit: false });
      this.#bar.start(megabytes(totalBytes), 0);
    }
    this.#bar.update(megabytes(sentBytes));
  }

  close(): void {
    this.#bar?.stop();
  }
}
