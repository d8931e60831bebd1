import { readShape } from '../checkpoint/shape.ts';
import { activationBytes } from '../engine/local/pass.ts';
import { UserError } from '../errors.ts';
import { parseBenchmarks } from '../eval/benchmarks.ts';
import { cachedModel } from '../hub/cachedModel.ts';
import { hubName } from '../hubName.ts';
import type { Method } from '../methods/method.ts';
import { type ModelConfig, parameterCount, parseConfig } from '../model/config.ts';
import { forwardFlops, trainingFlops } from '../model/flops.ts';
import { factorCount, type LoraShape } from '../model/lora.ts';
import { publishedConfigs } from '../model/published.ts';
import { isServerUrl } from '../serverUrl.ts';
import type { McpServer } from '../tools/mcp/servers.ts';
import { missingPackages } from '../tools/packages/store.ts';
import type { ToolProfile } from '../tools/profile.ts';
import { formatTracker } from '../trackers/schema.ts';
import { defaultVocabulary } from '../worlds/tokenizer.ts';
import type { OnPolicyWork } from './clusterTime.ts';
import { planData } from './dataPlan.ts';
import { type EnginePlan, planEngine } from './enginePlan.ts';
import { type EvaluationsPlan, planEvaluations } from './evaluationsPlan.ts';
import { describeGuard } from './guard.ts';
import { freshConfig } from './initialize.ts';
import { methodOf } from './method.ts';
import { missingMetrics, type PolicyPlan, planPolicy } from './policyPlan.ts';
import { datasetsOf, type OnPolicyRecipe, type Recipe, type SftRecipe } from './recipe.ts';
import { deviceOf, planRunMemory, type RunModels, sharesBase } from './runMemory.ts';
import { teachersOf } from './teachers.ts';

/** Who scores what is sampled. */
export interface PlannedTeacher {
  /** By its tasks, where there are several. */
  name?: string;
  /** Its folder or address; absent where the model is its own teacher. */
  place?: string;
  /** Where it is computed here, and known. */
  config?: ModelConfig;
}

/** What a run will take, as far as it is known before it starts. All counts of tokens are the most that can be. */
export interface TrainingPlan {
  method: string;
  iterations: number;
  updates: number;
  /** Demonstrations or trajectories, and the most tokens that one has. */
  sequences: number;
  maxTokens: number;
  model?: ModelConfig;
  teachers: PlannedTeacher[];
  /** Adapters that are trained over the model. */
  lora?: LoraShape;
  /** Models that are not there yet: what depends on their shapes is not known, and left out. */
  missing: string[];
  /** Of the whole run, at most. */
  flops: { what: string; flops: number }[];
  /** On which device of this machine its models are, where its engine is here. */
  device: 'cpu' | 'gpu';
  /** Bytes on a machine of this engine's kind … */
  memory: { what: string; bytes: number }[];
  /** … and where everything is on accelerators: bf16 weights and gradients, fp32 master weights and moments. */
  acceleratorMemory: { what: string; bytes: number }[];
  downloads: { name: string; bytes?: number }[];
  /** What a dataset that is here holds, and what of it would be left out. */
  data: string[];
  tool: ToolProfile;
  /** Servers whose tools the model has as well, some of them programs that would run here. */
  mcp: readonly McpServer[];
  /** Of the tool's, what has not been added for the sandbox. */
  missingPackages: string[];
  /** What can be simulated: a run that samples. */
  work?: OnPolicyWork;
  /** Where the engine is a server. */
  engine?: EnginePlan;
  /** Where only the policy samples on one. */
  policy?: PolicyPlan;
  /** How many iterations before their own rollouts begin; absent where nothing is sampled. */
  ahead?: 0 | 1;
  missingMetrics?: string;
  evaluations?: EvaluationsPlan;
  /** What ends or names a run that collapses; absent where nothing is sampled. */
  guard?: string;
  /** Who is told of its metrics beside its folder. */
  trackers: string[];
}

/** Sequences that are sampled at once beside each other on accelerators hold their keys and values in bf16. */
const bf16Bytes = 2;
/** bf16 weights and gradients, fp32 master weights and two moments. */
const trainedBytesPerParameter = 16;

/**
 * Plans a run without starting it; nothing is read but the shapes of models, and data, that are there.
 * @throws UserError where a model's shape cannot be known, or the data are refused.
 */
export async function planTraining(recipe: Recipe): Promise<TrainingPlan> {
  const model = recipe.init ? freshConfig(recipe.init, defaultVocabulary) : shapeOf(recipe.model!, recipe.base);
  const plan =
    recipe.method === 'sft' ? planSupervised(recipe, model) : planOnPolicy(recipe, model, await methodOf(recipe));
  return {
    ...plan,
    lora: recipe.lora,
    device: deviceOf(recipe, model),
    tool: recipe.tool,
    mcp: recipe.mcp ?? [],
    missingPackages: missingPackages(recipe.tool.packages ?? []),
    data: await planData(recipe),
    trackers: (recipe.track ?? []).map(formatTracker),
  };
}

/** What depends on the kind of training. */
type Plan = Omit<TrainingPlan, 'data' | 'tool' | 'mcp' | 'missingPackages' | 'lora' | 'device' | 'trackers'>;

function planSupervised(recipe: SftRecipe, model: ModelConfig | undefined): Plan {
  const { demonstrations, epochs, batchSize, maxTokens } = recipe.training;
  const updates = Math.ceil((demonstrations * epochs) / batchSize);
  const sequences = demonstrations * epochs;
  return {
    method: recipe.method,
    iterations: updates,
    updates,
    sequences,
    maxTokens,
    model,
    teachers: [],
    missing: model ? [] : [recipe.model!],
    ...(model
      ? {
          flops: [
            {
              what: 'training',
              flops: trainingFlops(model, sequences, maxTokens, sequences * maxTokens, !recipe.lora),
            },
          ],
          memory: planRunMemory(recipe, { model }).parts,
          acceleratorMemory: [trained(model, recipe.lora), activations(model, maxTokens, recipe.lora)],
        }
      : unknownSizes),
    downloads: downloads(recipe, model),
    evaluations: planEvaluations(recipe, updates),
    engine: planEngine(recipe, {
      sampled: 0,
      prompts: 0,
      scored: 0,
      scoredElsewhere: 0,
      trained: sequences * maxTokens,
    }),
  };
}

function planOnPolicy(recipe: OnPolicyRecipe, model: ModelConfig | undefined, method: Method): Plan {
  const { training, rollout } = recipe;
  const teachers = plannedTeachers(recipe, model, method);
  const absent = teachers.flatMap(({ place, config }) => (place && !config && !isServerUrl(place) ? place : []));
  const missing = [...new Set(model ? absent : [recipe.model!, ...absent])];
  const isScoredHere = teachers.some(({ place }) => place === undefined || !isServerUrl(place));
  const sequences = training.iterations * training.promptsPerIteration * rollout.groupSize;
  const maxTokens = rollout.maxPromptTokens + rollout.maxResponseTokens;
  const targets = sequences * rollout.maxResponseTokens;
  return {
    method: recipe.method,
    iterations: training.iterations,
    updates: (training.iterations * training.promptsPerIteration) / training.promptsPerUpdate,
    sequences,
    maxTokens,
    model,
    teachers,
    missing,
    ...(model && missing.length === 0 ? onPolicySizes(recipe, model, scorersOf(teachers)) : unknownSizes),
    downloads: downloads(recipe, model, teachers),
    evaluations: planEvaluations(recipe, training.iterations),
    guard: describeGuard(recipe.guard),
    ahead: rollout.ahead,
    engine: planEngine(recipe, {
      sampled: targets,
      // Each turn is asked for with all that came before it.
      prompts: sequences * (rollout.maxPromptTokens + ((rollout.maxTurns - 1) / 2) * rollout.maxResponseTokens),
      scored: ((isScoredHere ? sequences : 0) + staleSequences(recipe)) * maxTokens,
      scoredElsewhere: teachers.length > 0 && !isScoredHere ? sequences * maxTokens : 0,
      trained: sequences * maxTokens,
    }),
    missingMetrics: missingMetrics(recipe),
  };
}

function plannedTeachers(recipe: OnPolicyRecipe, model: ModelConfig | undefined, method: Method): PlannedTeacher[] {
  if (!method.teacher) return [];
  if (method.teacher !== 'model') return [{ config: model }];
  return teachersOf(recipe).map(teacher => ({
    ...teacher,
    config: isServerUrl(teacher.place) ? undefined : shapeOf(teacher.place),
  }));
}

type Scoring = NonNullable<RunModels['scorers']>;

/** Those that are computed here, each model once. */
function scorersOf(teachers: readonly PlannedTeacher[]): Scoring {
  const byPlace = new Map(teachers.map(({ place, config }) => [place, config]));
  return [...byPlace].flatMap(([place, config]) => (config ? { place, config } : []));
}

/** What depends on the shapes of models. */
type Sizes = Pick<TrainingPlan, 'flops' | 'memory' | 'acceleratorMemory' | 'work' | 'policy'>;
const unknownSizes: Sizes = { flops: [], memory: [], acceleratorMemory: [] };

function onPolicySizes(recipe: OnPolicyRecipe, model: ModelConfig, scorers: Scoring): Sizes {
  const { training, rollout } = recipe;
  const policy = planPolicy(recipe, model);
  const stale = staleSequences(recipe);
  const sequences = training.iterations * training.promptsPerIteration * rollout.groupSize;
  const maxTokens = rollout.maxPromptTokens + rollout.maxResponseTokens;
  const targets = sequences * rollout.maxResponseTokens;
  // Which of them scores how much is not known.
  const [teacher] = scorers.map(({ config }) => config).sort((a, b) => parameterCount(b) - parameterCount(a));
  const bytesPerToken = model.layers * 2 * model.kvHeads * model.headDim * bf16Bytes;
  return {
    flops: [
      ...(policy ? [] : [{ what: 'rollouts', flops: forwardFlops(model, sequences, maxTokens, targets) }]),
      ...(teacher ? [{ what: 'teacher', flops: forwardFlops(teacher, sequences, maxTokens, targets) }] : []),
      ...(stale > 0
        ? [{ what: 'ratios', flops: forwardFlops(model, stale, maxTokens, stale * rollout.maxResponseTokens) }]
        : []),
      { what: 'training', flops: trainingFlops(model, sequences, maxTokens, targets, !recipe.lora) },
    ],
    memory: planRunMemory(recipe, { model, scorers }).parts,
    acceleratorMemory: [
      trained(model, recipe.lora),
      ...scorers
        .filter(({ place }) => !sharesBase(recipe, place))
        .map(({ config }) => ({ what: 'teacher', bytes: bf16Bytes * parameterCount(config) })),
      {
        what: `keys and values of ${rollout.concurrency} sequences`,
        bytes: rollout.concurrency * maxTokens * bytesPerToken,
      },
      activations(model, maxTokens, recipe.lora),
    ],
    work: {
      model,
      teacher,
      trainsAll: !recipe.lora,
      iterations: training.iterations,
      sequences: training.promptsPerIteration * rollout.groupSize,
      promptTokens: rollout.maxPromptTokens,
      responseTokens: rollout.maxResponseTokens,
    },
    policy,
  };
}

/** Those that older weights sample, and the policy therefore scores before it learns from them. */
function staleSequences({ training, rollout }: OnPolicyRecipe): number {
  return rollout.ahead * (training.iterations - 1) * training.promptsPerIteration * rollout.groupSize;
}

/**
 * The shape of a model: of its folder, of what the Hub's cache has or is published under its name, or of what it will be made from;
 * undefined where it is not there yet.
 */
function shapeOf(checkpoint: string, base?: string): ModelConfig | undefined {
  const name = hubName(checkpoint);
  if (name) {
    const cached = cachedModel(name, 'main');
    const shape = cached && readShape(cached);
    if (shape) return shape;
    if (publishedConfigs[name]) return parseConfig(publishedConfigs[name], name);
    throw new UserError(
      `the shape of ${checkpoint} is not known without network before it was downloaded, as by sod chat ${checkpoint}. ` +
        `Known are ${Object.keys(publishedConfigs).join(', ')}`,
    );
  }
  return readShape(checkpoint) ?? (base && base !== checkpoint ? shapeOf(base) : undefined);
}

/** Beside weights in bf16 that are not trained. */
function trained(model: ModelConfig, lora?: LoraShape) {
  const parameters = lora ? factorCount(model, lora) : parameterCount(model);
  const frozen = lora ? bf16Bytes * parameterCount(model) : 0;
  return { what: 'weights, gradients and optimizer', bytes: frozen + trainedBytesPerParameter * parameters };
}

/** Of one sequence: longer batches go through one after the other. */
function activations(model: ModelConfig, tokens: number, lora?: LoraShape) {
  return { what: `activations of ${tokens} tokens`, bytes: tokens * activationBytes(model, { dtype: 'bf16', lora }) };
}

function downloads(
  recipe: Recipe,
  model: ModelConfig | undefined,
  teachers: readonly PlannedTeacher[] = [],
): TrainingPlan['downloads'] {
  const models = new Map([[recipe.model, model], ...teachers.map(({ place, config }) => [place, config] as const)]);
  const result: TrainingPlan['downloads'] = [...models].flatMap(([reference, config]) => {
    const name = reference && hubName(reference);
    return name && config ? [{ name, bytes: bf16Bytes * parameterCount(config) }] : [];
  });
  const benchmarks = recipe.evaluate?.benchmark ? parseBenchmarks(recipe.evaluate.benchmark) : [];
  const datasets = [...datasetsOf(recipe), ...benchmarks.map(({ dataset }) => dataset)];
  const names = datasets.flatMap(({ source }) => hubName(source) ?? []);
  return [...result, ...[...new Set(names)].map(name => ({ name: `${name} (dataset)` }))];
}
