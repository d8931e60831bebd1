import { inGiB } from '../bytes.ts';
import { type DialectName, dialects, trainedRank, unsupported } from '../engine/tinker/dialect.ts';
import { wishesOf } from './engineWishes.ts';
import type { Recipe } from './recipe.ts';

/** What a run asks of a server that trains. Counts of tokens are the most that can be. */
export interface EnginePlan {
  url: string;
  /** Unknown where the server is to say it. */
  dialect?: DialectName;
  rank: number;
  /** Checkpoints that stay there. */
  kept: number;
  /** What the recipe asks for and the server would not do. */
  refusals: string[];
  /** Bytes that go over the network. */
  wire: { what: string; bytes: number }[];
  /** Dollars, where prices are given. */
  cost?: { what: string; dollars: number }[];
}

export interface EngineTokens {
  sampled: number;
  /** What is read before sampling, all turns together. */
  prompts: number;
  /** On the same server, by the teacher or the policy, and by a teacher elsewhere. */
  scored: number;
  scoredElsewhere: number;
  trained: number;
}

/** A token as JSON; one that is trained with its target, coefficient and log-probability; what comes back of one that was learned. */
const jsonBytes = 6;
const trainedBytes = 24;
const scoreBytes = 4;

export function planEngine(recipe: Recipe, tokens: EngineTokens): EnginePlan | undefined {
  const { engine, lora } = recipe;
  if (engine.kind !== 'tinker') return undefined;
  const { url, dialect, prices } = engine;
  const rank = trainedRank(dialects[dialect ?? 'sod'], lora);
  const { sampled, prompts, scored, scoredElsewhere, trained } = tokens;
  const perMillion = (what: keyof NonNullable<typeof prices>, count: number) => ({
    what,
    dollars: (prices![what] * count) / 1e6,
  });
  return {
    url,
    dialect,
    rank,
    kept: recipe.save.keep,
    refusals: unsupported(dialect ?? 'sod', wishesOf(recipe)!),
    wire: [
      { what: 'rollouts', bytes: jsonBytes * (prompts + sampled) + scoreBytes * sampled },
      { what: 'scores', bytes: (jsonBytes + scoreBytes) * (scored + scoredElsewhere) },
      { what: 'training', bytes: (trainedBytes + scoreBytes) * trained },
    ].filter(({ bytes }) => bytes > 0),
    cost: prices && [
      perMillion('prefill', prompts + scored),
      perMillion('sample', sampled),
      perMillion('train', trained),
    ],
  };
}

/** As lines of a plan: a name, and what there is to say. */
export function formatEnginePlan({ url, dialect, rank, kept, refusals, wire, cost }: EnginePlan): [string, string][] {
  const what = rank === 0 ? 'all weights are' : `adapters of rank ${rank} are`;
  const bytes = wire.reduce((sum, part) => sum + part.bytes, 0);
  const sizes = wire.map(part => `${part.what} ${inGiB(part.bytes)}`).join(', ');
  const dollars = cost?.reduce((sum, part) => sum + part.dollars, 0);
  const shares = cost?.map(part => `${part.what} ${part.dollars.toFixed(0)}`).join(', ');
  return [
    [
      'engine',
      `${url} (${dialect ?? 'it says itself what it is'}): ${what} trained there; models, optimizer and checkpoints stay there ` +
        'until the end, a tokenizer is needed here',
    ],
    ['kept there', `the newest ${kept} checkpoints; older ones are deleted, unless the server cannot`],
    ...(refusals.length ? [['refused', `it has ${refusals.join('; ')}`] as [string, string]] : []),
    ['over the wire', `at most ${inGiB(bytes)} GiB: ${sizes}`],
    [
      'cost',
      dollars === undefined
        ? 'unknown: give engine.prices in dollars for a million tokens, such as {prefill: 0.1, sample: 0.3, train: 0.3}'
        : `at most $${dollars.toFixed(0)}: ${shares}`,
    ],
  ];
}
