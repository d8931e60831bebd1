import { dirname, join } from 'node:path';
import { z } from 'zod';
import { readYaml } from '../documents.ts';
import { UserError } from '../errors.ts';
import { type EvaluationSettings, evaluationSchema } from '../eval/evaluate.ts';
import { refuseTooMany } from '../eval/sampling.ts';
import { importMethod, isMethodModule } from '../methods/module.ts';
import { methods } from '../methods/registry.ts';
import { firstIssue, section } from '../schema.ts';
import type { Section } from '../train/overrides.ts';
import { loadRecipe, type Recipe } from '../train/recipe.ts';

/**
 * What a comparison is, one YAML file: stages that all methods share, the methods that are trained from there for every
 * seed, and how the results are measured.
 */

const count = z.number().int().positive();
const overrides = z.record(z.string(), z.unknown());

const stage = section({
  /** File of its recipe, beside this one. */
  recipe: z.string().min(1),
  /** Earlier stages whose trained model it starts from or is taught by. */
  model: z.string().optional(),
  teacher: z.string().optional(),
});

const planSchema = section({
  /** Trained once, in this order. */
  stages: z.record(z.string(), stage),
  /** The stage that every method starts from, and the one that teaches. */
  student: z.string(),
  teacher: z.string(),
  /** File of what the methods' recipes share. */
  recipe: z.string().min(1),
  seeds: z.array(z.number().int().nonnegative()).min(1),
  /** What each method's recipe says beside that; the key is its name in the table. */
  methods: z.record(z.string(), overrides).refine(methods => Object.keys(methods).length > 0, 'names no method'),
  /** Variants of a method, compared with it on their own. */
  ablations: z.record(z.string(), overrides).default({}),
  eval: evaluationSchema,
  /** What `--tune` tries: learning rates, with a seed and held-out tasks that the comparison does not use. */
  tune: section({
    learningRates: z.array(z.number().positive()).min(1),
    seed: z.number().int().nonnegative(),
    firstTask: count,
    tasks: count,
    k: count,
  }).optional(),
  /** What `--quick` changes. */
  quick: section({
    seeds: z.array(z.number().int().nonnegative()).min(1).optional(),
    stages: z.record(z.string(), overrides).default({}),
    recipe: overrides.default({}),
    eval: evaluationSchema.partial().default({}),
  }).prefault({}),
});

/** Where the runs of a comparison lie. */
export interface Layout {
  stage(name: string): string;
  method(name: string, seed: number): string;
}

export interface PlanOptions {
  quick: boolean;
  /** Instead of the file's. */
  seeds?: number[];
  /** Of the stages, instead of what their recipes say. */
  stageSeed?: number;
  /** Only these of the file's methods and ablations. */
  only?: string[];
  /** Default: stages/NAME and methods/NAME/seed-SEED under the root. */
  layout?: Layout;
}

/** One row of the table that is trained. */
export interface PlannedMethod {
  name: string;
  ablation: boolean;
}

/** A comparison, ready to be run in folder `root`. */
export interface Plan {
  root: string;
  seeds: number[];
  stages: { name: string; runDir: string; recipe: () => Promise<Recipe> }[];
  student: string;
  teacher: string;
  methods: PlannedMethod[];
  /** The recipe of a method for one seed; `changes` win over what the file says. */
  recipe(method: string, seed: number, changes?: Section): Promise<Recipe>;
  runDir(method: string, seed: number): string;
  evaluation: Omit<EvaluationSettings, 'seed'>;
  tuning: z.output<typeof planSchema>['tune'];
}

/**
 * Reads a comparison; its runs will lie under `root`.
 * @throws UserError if the file is not one, or names what is not there.
 */
export function readPlan(
  file: string,
  root: string,
  { quick, seeds, stageSeed, only, layout = layoutUnder(root) }: PlanOptions,
): Plan {
  const plan = parsePlan(file);
  const beside = (recipe: string) => join(dirname(file), recipe);
  const final = (stage: string) => join(layout.stage(stage), 'final');
  refuseUnknownStages(file, plan);
  const evaluation = { ...plan.eval, ...(quick && plan.quick.eval) };
  refuseTooMany(evaluation.tasks, evaluation.k);
  const all: Record<string, Section> = { ...plan.methods, ...plan.ablations };
  for (const name of only ?? []) {
    if (!Object.hasOwn(all, name))
      throw new UserError(`${file} has no method '${name}'. It has ${Object.keys(all).join(', ')}`);
  }
  return {
    root,
    seeds: seeds ?? ((quick && plan.quick.seeds) || plan.seeds),
    stages: Object.entries(plan.stages).map(([name, { recipe, model, teacher }]) => ({
      name,
      runDir: layout.stage(name),
      recipe: () =>
        loadRecipe(beside(recipe), {
          ...(quick && plan.quick.stages[name]),
          ...(stageSeed !== undefined && { seed: stageSeed }),
          ...(model && { model: final(model) }),
          ...(teacher && { teacher: final(teacher) }),
        }),
    })),
    student: plan.student,
    teacher: plan.teacher,
    methods: Object.keys(all)
      .filter(name => only?.includes(name) ?? true)
      .map(name => ({ name, ablation: Object.hasOwn(plan.ablations, name) })),
    async recipe(method, seed, changes = {}) {
      const own = all[method];
      const models = { model: final(plan.student), ...((await needsTeacher(own)) && { teacher: final(plan.teacher) }) };
      const quicker = quick ? plan.quick.recipe : {};
      return loadRecipe(beside(plan.recipe), quicker, own, changes, { ...models, seed });
    },
    runDir: layout.method,
    evaluation,
    tuning: plan.tune,
  };
}

function layoutUnder(root: string): Layout {
  return {
    stage: name => join(root, 'stages', name),
    method: (name, seed) => join(root, 'methods', name, `seed-${seed}`),
  };
}

function parsePlan(file: string): z.output<typeof planSchema> {
  const result = planSchema.safeParse(readYaml(file));
  if (!result.success) throw new UserError(`${file}: ${firstIssue(result.error)}`);
  return result.data;
}

/** @throws UserError where a stage is named that is not there, or comes later. */
function refuseUnknownStages(file: string, { stages, student, teacher }: z.output<typeof planSchema>): void {
  const names = Object.keys(stages);
  const uses = [
    { key: 'student', name: student, known: names },
    { key: 'teacher', name: teacher, known: names },
    ...Object.values(stages).flatMap(({ model, teacher }, i) => [
      { key: `stages.${names[i]}.model`, name: model, known: names.slice(0, i) },
      { key: `stages.${names[i]}.teacher`, name: teacher, known: names.slice(0, i) },
    ]),
  ];
  for (const { key, name, known } of uses) {
    if (name === undefined || known.includes(name)) continue;
    throw new UserError(`${file}: ${key}: there is no ${names.includes(name) ? 'earlier ' : ''}stage '${name}'`);
  }
}

async function needsTeacher({ method }: Section): Promise<boolean> {
  if (typeof method !== 'string') return false;
  if (isMethodModule(method)) return (await importMethod(method)).teacher === 'model';
  return Object.hasOwn(methods, method) && methods[method as keyof typeof methods].teacher === 'model';
}
