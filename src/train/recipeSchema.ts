import { z } from 'zod';
import { datasetSchema, mixtureSchema } from '../data/dataset.ts';
import { promptsSchema } from '../data/prompts.ts';
import { aggregations } from '../methods/aggregation.ts';
import type { MethodModule } from '../methods/module.ts';
import { methods } from '../methods/registry.ts';
import { equivalences } from '../rewards/equivalences.ts';
import { type Shaping, shapings } from '../rewards/shaping.ts';
import { section } from '../schema.ts';
import { serversSchema } from '../tools/mcp/servers.ts';
import { toolSchema } from '../tools/profile.ts';
import { trackersSchema } from '../trackers/schema.ts';
import { engineSchema, policyServerSchema } from './engineSchema.ts';
import { evaluateSchema } from './evaluateSchema.ts';
import { guardSchema } from './guardSchema.ts';
import { loraSchema } from './loraSchema.ts';
import { teacherSchema, teachersSchema } from './teachersSchema.ts';

/**
 * What a training run is: one YAML file, every key checked, every default the paper's
 * (shared by all methods where the paper shares it, so that methods differ in nothing but themselves).
 */

const count = z.number().int().positive();
/** Lists of what is counted are in memory: of longer ones nobody means what is written. */
export const mostListed = 1e7;
const listed = count.max(mostListed);
const fraction = z.number().min(0).max(1);
/** Of a moving average, which never takes what is new at 1. */
const decay = z.number().min(0).lt(1);
const nonNegative = z.number().nonnegative();

/** The shape of a freshly initialised decoder; the vocabulary is its tokenizer's. */
export const initSchema = section({
  hiddenSize: count,
  /** Width of the SwiGLU layers. */
  intermediateSize: count,
  layers: count,
  heads: count,
  kvHeads: count,
  headDim: count,
  tieEmbeddings: z.boolean().default(true),
  /** World from whose dialogues the tokenizer is learned, instead of the recipe's: models that teach each other share one. */
  tokenizer: z.string().min(1).optional(),
});
export type Init = z.infer<typeof initSchema>;

const save = section({
  /** Iterations between two resumable checkpoints. */
  every: count.default(10),
  /** Resumable checkpoints that are kept. */
  keep: count.default(2),
  /** Share of the tasks of an iteration all attempts at which are kept, to be looked at. */
  trajectories: fraction.default(1),
  /** How many of the teacher's likeliest tokens are kept with each token of these. */
  alternatives: z.number().int().min(0).max(20).default(0),
}).prefault({});

const optimizer = (defaults: {
  learningRate: number;
  schedule: 'constant' | 'cosine';
  warmup: number;
  beta2: number;
}) =>
  section({
    learningRate: nonNegative.default(defaults.learningRate),
    betas: z.tuple([decay, decay]).default([0.9, defaults.beta2]),
    epsilon: z.number().positive().default(1e-8),
    weightDecay: nonNegative.default(0.01),
    /** Largest global gradient norm; 0 is no clipping. */
    clipNorm: nonNegative.default(1),
    schedule: z.enum(['constant', 'cosine', 'linear']).default(defaults.schedule),
    /** Fraction of all updates over which the learning rate rises. */
    warmup: fraction.default(defaults.warmup),
  }).prefault({});

const common = {
  seed: z.number().int().nonnegative().default(0),
  /** Checkpoint to start from, a folder or hf: and its name on the Hugging Face Hub … */
  model: z.string().min(1).optional(),
  /** … or the shape of a fresh one with random weights. */
  init: initSchema.optional(),
  /** What the model was made from, such as hf:Qwen/Qwen3-0.6B: tells a dry run its shape before the folder exists. */
  base: z.string().min(1).optional(),
  /** A world by name, the path of a module that exports one, or openenv: and the address of a server that has it … */
  world: z.string().min(1).default('shop'),
  /** … or the rows of a dataset, such as hf:Gen-Verse/Open-AgentRL-30K: problems, or for sft demonstrations. */
  dataset: datasetSchema.optional(),
  /** … or those of several, each as often as its `weight` says. */
  datasets: mixtureSchema.optional(),
  data: section({
    /** Share of a dataset's rows that are left out where they cannot be used; of more, the dataset is refused. */
    maxSkipped: fraction.default(0.05),
  }).prefault({}),
  /** The code tool as the model is shown it: a preset, or what is other than in one. */
  tool: toolSchema.prefault({}),
  /** MCP servers whose tools the model has beside those of its world, or the code tool. */
  mcp: serversSchema.optional(),
  /** Whether the model thinks before it speaks, where its template leaves the choice. */
  thinking: z.enum(['on', 'off']).default('off'),
  engine: engineSchema,
  /** Trains adapters over the model instead of all its weights. */
  lora: loraSchema.optional(),
  save,
  /** Measures the policy while it is trained. */
  evaluate: evaluateSchema.optional(),
  /** Who is told of its metrics beside `metrics.jsonl`. */
  track: trackersSchema.optional(),
};

const sft = section({
  method: z.literal('sft'),
  ...common,
  training: section({
    demonstrations: listed.default(3000),
    epochs: count.default(5),
    /** Demonstrations an update. */
    batchSize: listed.default(128),
    /** Longer demonstrations are cut at the right. */
    maxTokens: count.default(32_768),
    /**
     * Share of the demonstrations whose prompt shows the answer as well, and of those whose prompt shows the hint: a model that
     * was never pretrained has to learn to read them before it can be its own teacher.
     */
    privileged: z.number().min(0).max(0.5).default(0),
  }).prefault({}),
  optimizer: optimizer({ learningRate: 5e-5, schedule: 'cosine', warmup: 0.1, beta2: 0.95 }),
});

const onPolicy = {
  ...common,
  /** Of the dataset's problems: other templates than ours. */
  prompts: promptsSchema.optional(),
  rollout: section({
    /** Responses a prompt: the group in which outcomes are compared. */
    groupSize: listed.default(16),
    temperature: z.number().positive().default(1),
    topP: z.number().positive().max(1).default(1),
    maxTurns: count.default(16),
    maxPromptTokens: count.default(2560),
    /** Sampled and observed tokens together. */
    maxResponseTokens: count.default(20_480),
    /** Of grpo: so many batches of prompts at most, until there are enough groups whose rewards are not all equal; 0: one. */
    refill: z.int().nonnegative().max(10).default(0),
    /** Trajectories under way at once. */
    concurrency: count.default(64),
    /** 1: the next iteration's rollouts begin before this one's updates, by the weights before them (`src/train/pipeline.ts`). */
    ahead: z.union([z.literal(0), z.literal(1)], 'expected 0 or 1').default(0),
    toolTimeoutMs: count.default(5000),
    /** Longer tool answers are cut in the middle. */
    toolOutputChars: count.default(4096),
    server: policyServerSchema.optional(),
  }).prefault({}),
  training: section({
    iterations: count.default(120),
    promptsPerIteration: listed.default(64),
    /** Mini-batch: promptsPerIteration / promptsPerUpdate updates an iteration. */
    promptsPerUpdate: listed.default(16),
    /** Size of the training set; without it every iteration sees new tasks. */
    tasks: listed.optional(),
    /** First task of that set: those before it are left out, because demonstrations have shown them, for instance. */
    firstTask: z.number().int().nonnegative().default(0),
  }).prefault({}),
  optimizer: optimizer({ learningRate: 1e-6, schedule: 'constant', warmup: 0, beta2: 0.999 }),
  loss: section({
    clipLow: z.number().positive().max(1).default(0.2),
    clipHigh: z.number().positive().default(0.28),
    /** Where the advantage is negative, no ratio counts more than this. */
    dualClip: z.union([z.number().gt(1), z.literal('off')], 'expected a number >1, or off').default(3),
    aggregation: z.enum(aggregations).default('token-mean'),
  }).prefault({}),
  reward: section({
    /** Of a dataset's answers: exact is the paper's; math also takes equal values in other notation. */
    equivalence: z.enum(equivalences).default('exact'),
    /** Of a dataset's programs: the most time of one test. */
    testTimeoutMs: count.default(10_000),
    /** Wrong answers that used the tool are punished a little less, by the paper's text; by its program, none are. */
    shaping: z
      .union([z.enum(shapings), z.boolean().transform((isOn): Shaping => (isOn ? 'text' : 'off'))], {
        error: `must be one of ${shapings.join(', ')}`,
      })
      .default('text'),
    /** Tokens before the limit over which length is punished; 0 is no punishment. */
    overlongBuffer: z.number().int().nonnegative().default(1024),
  }).prefault({}),
  report: section({
    /** Divergences below it tell nothing: for the patterns of trajectories, the same for all methods. */
    epsilon: z.number().positive().default(1e-6),
  }).prefault({}),
  guard: guardSchema,
};

/** The model that it learns from, or several. */
const taught = { teacher: teacherSchema.optional(), teachers: teachersSchema.optional() };

type MethodName = keyof typeof methods;

/** What a recipe for a method can hold: what all share, the options of its own, and teachers where others are. */
function recipeSchema(name: MethodName) {
  const { options, teacher: who } = methods[name];
  return section({
    method: z.literal(name),
    [name]: section(options).prefault({}),
    ...onPolicy,
    ...(who === 'model' && taught),
  });
}

export const schemas: Record<string, z.ZodType> = {
  sft,
  ...Object.fromEntries((Object.keys(methods) as MethodName[]).map(name => [name, recipeSchema(name)])),
};
export const methodNames = Object.keys(schemas);
/** Whether a module's method asks for a teacher is known when it is loaded. */
export const moduleSchema = section({ method: z.string(), ...onPolicy, ...taught });

export type SftRecipe = z.output<typeof sft>;
type OnPolicyBase = z.ZodObject<typeof onPolicy>;
/** The options of its method are in the section that has the method's name. */
export type OnPolicyRecipe = z.output<OnPolicyBase> &
  z.output<z.ZodObject<typeof taught>> & {
    method: MethodName | MethodModule;
  } & Partial<Record<MethodName, Record<string, unknown>>>;
export type Recipe = SftRecipe | OnPolicyRecipe;
type TaughtInput = z.input<z.ZodObject<typeof taught>>;
/** A recipe as it is written: everything with a default may be left out. */
export type RecipeInput =
  | z.input<typeof sft>
  | {
      [Name in MethodName]: z.input<OnPolicyBase> &
        TaughtInput & { method: Name } & {
          [Section in Name]?: z.input<z.ZodObject<(typeof methods)[Name]['options']>>;
        };
    }[MethodName]
  | (z.input<OnPolicyBase> & TaughtInput & { method: MethodModule });
