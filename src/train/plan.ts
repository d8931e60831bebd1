import { inGiB } from '../bytes.ts';
import { readShape } from '../checkpoint/shape.ts';
import { availableMemory, memoryNeed } from '../engine/local/memory.ts';
import { activationBytes } from '../engine/local/pass.ts';
import { engineDefaults, precisionOf } from '../engine/local/protocol.ts';
import { UserError } from '../errors.ts';
import { parseBenchmarks } from '../eval/benchmarks.ts';
import { hubName } from '../hubName.ts';
import type { Method } from '../methods/method.ts';
import { type ModelConfig, parameterCount, parseConfig } from '../model/config.ts';
import { forwardFlops, trainingFlops } from '../model/flops.ts';
import { publishedConfigs } from '../model/published.ts';
import { isServerUrl } from '../serverUrl.ts';
import { formatToolProfile, type ToolProfile } from '../tools/profile.ts';
import { defaultVocabulary } from '../worlds/tokenizer.ts';
import { accelerators, assumptions, type OnPolicyWork, timeOn } from './clusterTime.ts';
import { planData } from './dataPlan.ts';
import { type EnginePlan, formatEnginePlan, planEngine } from './enginePlan.ts';
import { type EvaluationsPlan, formatEvaluations, planEvaluations } from './evaluationsPlan.ts';
import { describeGuard } from './guard.ts';
import { freshConfig } from './initialize.ts';
import { methodOf } from './method.ts';
import { formatPolicyPlan, missingMetrics, type PolicyPlan, planPolicy } from './policyPlan.ts';
import { datasetsOf, type OnPolicyRecipe, type Recipe, type SftRecipe } from './recipe.ts';

/** What a run will take, as far as it is known before it starts. All counts of tokens are the most that can be. */
export interface TrainingPlan {
  method: string;
  iterations: number;
  updates: number;
  /** Demonstrations or trajectories, and the most tokens that one has. */
  sequences: number;
  maxTokens: number;
  model: ModelConfig;
  teacher?: ModelConfig;
  /** The address of a teacher that another machine computes. */
  servedTeacher?: string;
  /** Of the whole run, at most. */
  flops: { what: string; flops: number }[];
  /** Bytes on a machine of this engine's kind … */
  memory: { what: string; bytes: number }[];
  /** … and where everything is on accelerators: bf16 weights and gradients, fp32 master weights and moments. */
  acceleratorMemory: { what: string; bytes: number }[];
  downloads: { name: string; bytes?: number }[];
  /** What a dataset that is here holds, and what of it would be left out. */
  data: string[];
  tool: ToolProfile;
  /** What can be simulated: a run that samples. */
  work?: OnPolicyWork;
  /** Where the engine is a server. */
  engine?: EnginePlan;
  /** Where only the policy samples on one. */
  policy?: PolicyPlan;
  missingMetrics?: string;
  evaluations?: EvaluationsPlan;
  /** What ends or names a run that collapses; absent where nothing is sampled. */
  guard?: string;
}

/** Sequences that are sampled at once beside each other on accelerators hold their keys and values in bf16. */
const bf16Bytes = 2;
/** Of what is sampled here. */
const keysAndValues = 'keys and values';
/** bf16 weights and gradients, fp32 master weights and two moments. */
const trainedBytesPerParameter = 16;

/** How many accelerators a run's time is told for. */
const counts = [1, 8, 64];

/**
 * Plans a run without starting it; nothing is read but the shapes of models, and data, that are there.
 * @throws UserError where a model's shape cannot be known, or the data are refused.
 */
export async function planTraining(recipe: Recipe): Promise<TrainingPlan> {
  const model = recipe.init ? freshConfig(recipe.init, defaultVocabulary) : shapeOf(recipe.model!, recipe.base);
  const plan =
    recipe.method === 'sft' ? planSupervised(recipe, model) : planOnPolicy(recipe, model, await methodOf(recipe));
  return { ...plan, tool: recipe.tool, data: await planData(recipe) };
}

/** What depends on the kind of training. */
type Plan = Omit<TrainingPlan, 'data' | 'tool'>;

function planSupervised(recipe: SftRecipe, model: ModelConfig): Plan {
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
    flops: [{ what: 'training', flops: trainingFlops(model, sequences, maxTokens, sequences * maxTokens) }],
    memory: memoryHere(recipe, model),
    acceleratorMemory: [trained(model), activations(model, maxTokens)],
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

function planOnPolicy(recipe: OnPolicyRecipe, model: ModelConfig, method: Method): Plan {
  const { training, rollout } = recipe;
  const { teacher: kind } = method;
  const servedTeacher = recipe.teacher && isServerUrl(recipe.teacher) ? recipe.teacher : undefined;
  const teacher = servedTeacher ? undefined : kind === 'model' ? shapeOf(recipe.teacher!) : kind && model;
  const policy = planPolicy(recipe, model);
  const sequences = training.iterations * training.promptsPerIteration * rollout.groupSize;
  const maxTokens = rollout.maxPromptTokens + rollout.maxResponseTokens;
  const targets = sequences * rollout.maxResponseTokens;
  const bytesPerToken = model.layers * 2 * model.kvHeads * model.headDim * bf16Bytes;
  return {
    method: recipe.method,
    iterations: training.iterations,
    updates: (training.iterations * training.promptsPerIteration) / training.promptsPerUpdate,
    sequences,
    maxTokens,
    model,
    teacher,
    servedTeacher,
    flops: [
      ...(policy ? [] : [{ what: 'rollouts', flops: forwardFlops(model, sequences, maxTokens, targets) }]),
      ...(teacher ? [{ what: 'teacher', flops: forwardFlops(teacher, sequences, maxTokens, targets) }] : []),
      { what: 'training', flops: trainingFlops(model, sequences, maxTokens, targets) },
    ],
    memory: memoryHere(recipe, model, teacher).filter(({ what }) => !policy || what !== keysAndValues),
    acceleratorMemory: [
      trained(model),
      ...(teacher ? [{ what: 'teacher', bytes: bf16Bytes * parameterCount(teacher) }] : []),
      {
        what: `keys and values of ${rollout.concurrency} sequences`,
        bytes: rollout.concurrency * maxTokens * bytesPerToken,
      },
      activations(model, maxTokens),
    ],
    downloads: downloads(recipe, model, teacher),
    evaluations: planEvaluations(recipe, training.iterations),
    guard: describeGuard(recipe.guard),
    work: {
      model,
      teacher,
      iterations: training.iterations,
      sequences: training.promptsPerIteration * rollout.groupSize,
      promptTokens: rollout.maxPromptTokens,
      responseTokens: rollout.maxResponseTokens,
    },
    engine: planEngine(recipe, {
      sampled: targets,
      // Each turn is asked for with all that came before it.
      prompts: sequences * (rollout.maxPromptTokens + ((rollout.maxTurns - 1) / 2) * rollout.maxResponseTokens),
      scored: teacher ? sequences * maxTokens : 0,
      scoredElsewhere: servedTeacher ? sequences * maxTokens : 0,
      trained: sequences * maxTokens,
    }),
    policy,
    missingMetrics: missingMetrics(recipe),
  };
}

/** The shape of a model: of its folder, of what is published under its name, or of what it will be made from. */
function shapeOf(checkpoint: string, base?: string): ModelConfig {
  const name = hubName(checkpoint);
  if (name) {
    if (publishedConfigs[name]) return parseConfig(publishedConfigs[name], name);
    throw new UserError(
      `the shape of ${checkpoint} is not known without network; download it and name its folder. ` +
        `Known are ${Object.keys(publishedConfigs).join(', ')}`,
    );
  }
  const shape = readShape(checkpoint);
  if (shape) return shape;
  if (base && base !== checkpoint) return shapeOf(base);
  throw new UserError(
    `${checkpoint} holds no model yet: train or download it first, or say in base what it is made from`,
  );
}

function memoryHere({ engine }: Recipe, model: ModelConfig, teacher?: ModelConfig): TrainingPlan['memory'] {
  const settings = { ...engineDefaults, ...engine };
  const options = { dtype: precisionOf(settings.dtype), activationBytes: settings.activationBytes };
  const student = memoryNeed(model, { ...options, trainable: true });
  const scorer = teacher && memoryNeed(teacher, { ...options, trainable: false });
  return [
    { what: 'weights', bytes: student.weights },
    { what: 'optimizer', bytes: student.optimizer },
    { what: 'activations', bytes: student.activations },
    { what: 'positions', bytes: student.positions + (scorer?.positions ?? 0) },
    ...(scorer ? [{ what: 'teacher', bytes: scorer.weights }] : []),
    { what: keysAndValues, bytes: settings.cacheBytes },
  ];
}

function trained(model: ModelConfig) {
  return { what: 'weights, gradients and optimizer', bytes: trainedBytesPerParameter * parameterCount(model) };
}

/** Of one sequence: longer batches go through one after the other. */
function activations(model: ModelConfig, tokens: number) {
  return { what: `activations of ${tokens} tokens`, bytes: tokens * activationBytes(model, 'bf16') };
}

function downloads(recipe: Recipe, model: ModelConfig, teacher?: ModelConfig): TrainingPlan['downloads'] {
  const models: [string | undefined, ModelConfig | undefined][] = [
    [recipe.model, model],
    ['teacher' in recipe ? recipe.teacher : undefined, teacher],
  ];
  const result: TrainingPlan['downloads'] = models.flatMap(([reference, config]) => {
    const name = reference && hubName(reference);
    return name && config ? [{ name, bytes: bf16Bytes * parameterCount(config) }] : [];
  });
  const benchmarks = recipe.evaluate?.benchmark ? parseBenchmarks(recipe.evaluate.benchmark) : [];
  const datasets = [...datasetsOf(recipe), ...benchmarks.map(({ dataset }) => dataset)];
  const names = datasets.flatMap(({ source }) => hubName(source) ?? []);
  return [...result, ...[...new Set(names)].map(name => ({ name: `${name} (dataset)` }))];
}

/** The plan as people read it. */
export function formatPlan(plan: TrainingPlan): string {
  const { method, iterations, updates, sequences, maxTokens, model, teacher, servedTeacher, flops, downloads } = plan;
  const total = flops.reduce((sum, part) => sum + part.flops, 0);
  const here = sum(plan.memory);
  const there = sum(plan.acceleratorMemory);
  const available = availableMemory();
  const fits = here <= available ? 'fits' : 'does not fit';
  const cards = accelerators.map(({ name, gib }) => `${Math.ceil(there / (gib * 2 ** 30))} × ${name} ${gib} GiB`);
  const taught = teacher ? `, teacher ${billions(teacher)}` : servedTeacher ? `, teacher at ${servedTeacher}` : '';
  const lines: [string, string][] = [
    ['method', method],
    ['tool', formatToolProfile(plan.tool)],
    ['model', `${billions(model)} parameters${taught}`],
    ['updates', `${updates}${iterations === updates ? '' : ` in ${iterations} iterations`}`],
    ['sequences', `${sequences}, of at most ${maxTokens} tokens: at most ${scientific(sequences * maxTokens)} tokens`],
    [
      'computation',
      `at most ${scientific(total)} FLOP: ${flops.map(p => `${p.what} ${scientific(p.flops)}`).join(', ')}`,
    ],
    ...(plan.policy ? [formatPolicyPlan(plan.policy)] : []),
    ...(plan.missingMetrics ? [['metrics', plan.missingMetrics] as [string, string]] : []),
    ...(plan.engine
      ? formatEnginePlan(plan.engine)
      : [
          [
            'memory here',
            `${inGiB(here)} GiB: ${parts(plan.memory)}; ${inGiB(available)} GiB are free, it ${fits}`,
          ] as [string, string],
        ]),
    ['memory on GPUs', `${inGiB(there)} GiB: ${parts(plan.acceleratorMemory)}; at least ${cards.join(', or ')}`],
    ...(plan.work ? [simulated(plan.work)] : []),
    ['evaluations', plan.evaluations ? formatEvaluations(plan.evaluations) : 'none: see evaluate in docs/method.md'],
    ...(plan.guard ? [['guard', plan.guard] as [string, string]] : []),
    ['downloads', downloads.length ? downloads.map(download).join(', ') : 'nothing'],
    ...(plan.data.length > 0 ? [['data', plan.data.join('; ')] as [string, string]] : []),
  ];
  const width = Math.max(...lines.map(([name]) => name.length));
  return lines.map(([name, text]) => `${name.padEnd(width)}  ${text}`).join('\n');
}

/** The time on the last of the accelerators, by their number. */
function simulated(work: OnPolicyWork): [string, string] {
  const accelerator = accelerators.at(-1)!;
  const times = counts.map(count => {
    const time = timeOn(accelerator, count, work);
    const whole = Object.values(time).reduce((a, b) => a + b, 0);
    const shares = Object.entries(time)
      .filter(([, seconds]) => seconds > 0)
      .map(([what, seconds]) => `${what} ${Math.round((100 * seconds) / whole)} %`);
    return `${count}: ${(whole / 3600).toFixed(1)} h (${shares.join(', ')})`;
  });
  const mean = Math.round(assumptions.meanResponse * work.responseTokens);
  return [`time on ${accelerator.name}s`, `simulated, responses of ${mean} tokens on average: ${times.join('; ')}`];
}

function sum(memory: TrainingPlan['memory']): number {
  return memory.reduce((total, { bytes }) => total + bytes, 0);
}

function parts(memory: TrainingPlan['memory']): string {
  return memory.map(({ what, bytes }) => `${what} ${inGiB(bytes)}`).join(', ');
}

function download({ name, bytes }: TrainingPlan['downloads'][number]): string {
  return bytes === undefined ? name : `${name} (${inGiB(bytes)} GiB)`;
}

function billions(config: ModelConfig): string {
  const parameters = parameterCount(config);
  return parameters < 1e8 ? `${(parameters / 1e6).toFixed(2)}M` : `${(parameters / 1e9).toFixed(2)}B`;
}

function scientific(value: number): string {
  return value < 1e6 ? String(value) : value.toExponential(1).replace('e+', 'e');
}
