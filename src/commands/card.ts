import { join } from 'node:path';
import { Command } from 'commander';
import { license, repositoryName } from './options.ts';

interface Options {
  name?: string;
  license?: string;
  out?: string;
  force?: boolean;
}

export const cardCommand = () =>
  new Command('card')
    .description('Write the model card: the README.md of a model, with the metadata that the Hugging Face Hub reads.')
    .argument('<checkpoint>', 'folder of a model, such as runs/mine/final')
    .option('--name <org/name>', 'what it is called on the Hub', repositoryName)
    .option(
      '--license <id>',
      'its licence as the Hub writes it, such as apache-2.0 (default: what the card says)',
      license,
    )
    .option('--out <file>', 'where the card is written (default: README.md in the folder)')
    .option('--force', 'overwrite a README.md that sod card did not write, or that was edited')
    .addHelpText(
      'after',
      `
Examples:
  sod card runs/mine/final --name my-name/my-model --license apache-2.0
  sod card models/tiny --out card.md

The card says what the recipes of the runs behind the model say, back to the first, and the results that sod eval kept for
exactly these weights. What is not known, it does not say.`,
    )
    .action(async (checkpoint: string, { name, license, out, force }: Options) => {
      const [{ cardFacts }, { modelCard }, { licenseOf, readCard, writeCard }] = await Promise.all([
        import('../card/facts.ts'),
        import('../card/card.ts'),
        import('../card/cardFile.ts'),
      ]);
      const file = out ?? join(checkpoint, 'README.md');
      const facts = await cardFacts(checkpoint, { name, license: license ?? licenseOf(readCard(file) ?? '') });
      writeCard(file, modelCard(facts), force);
      console.log(`The model card is ${file}`);
      if (!facts.license) console.error('It states no licence: --license apache-2.0, or another, adds it');
      if (!name) console.error(`It calls the model your-name/${facts.title}: --name says what it is called on the Hub`);
      if (facts.evaluationsOfOthers > 0) {
        console.error('The evaluations that are kept are of other weights and left out: measure again with sod eval');
      } else if (facts.evaluations.length === 0) {
        console.error(`It has no results: sod eval ${checkpoint} measures the model and keeps them for the card`);
      }
    });
