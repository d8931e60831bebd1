import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { writeFileWhole } from '../../files.ts';
import { type MlflowRecipe, mlflowFile } from '../schema.ts';
import type { Known, Outcome, Store, TrackedLine } from '../store.ts';
import { authorizationFor, MlflowApi, MlflowRefusal, serverOfEnvironment } from './api.ts';
import { type Param, paramsOf } from './params.ts';

/** Of one request. */
const mostMetrics = 1000;
const mostParams = 100;

/** By it a server finds the run again, should its answer have been lost when it made it. */
const keyTag = 'sod.run';

const keptSchema = z.object({ key: z.string(), run: z.string().optional() });
type Kept = z.output<typeof keptSchema>;

const nothing = z.unknown();
const serverRun = z.object({
  info: z.object({ run_id: z.string(), status: z.string() }),
  data: z
    .object({
      metrics: z.array(z.object({ key: z.string(), step: z.coerce.number().default(0) })).default([]),
      params: z.array(z.object({ key: z.string() })).default([]),
    })
    .prefault({}),
});
type ServerRun = z.output<typeof serverRun>;
const oneRun = z.object({ run: serverRun });
const runs = z.object({ runs: z.array(serverRun).default([]) });
const experiment = z.object({ experiment: z.object({ experiment_id: z.string() }) });
const madeExperiment = z.object({ experiment_id: z.string() });

const statuses: Record<Outcome, string> = { finished: 'FINISHED', stopped: 'KILLED', failed: 'FAILED' };

/** A run on an MLflow server. Of what it was told last in each metric, the server knows the step. */
export class Mlflow implements Store {
  readonly name: string;
  readonly #api: MlflowApi;
  readonly #experiment: string;
  readonly #params: readonly Param[];
  readonly #runDir: string;
  #run: ServerRun['info'] = { run_id: '', status: '' };

  /** @throws UserError where neither the recipe nor the environment names a server */
  constructor({ url = serverOfEnvironment(), experiment }: MlflowRecipe, recipe: object, runDir: string) {
    this.name = `MLflow at ${url}`;
    this.#api = new MlflowApi(url, authorizationFor(url));
    this.#experiment = experiment;
    this.#params = paramsOf(recipe);
    this.#runDir = runDir;
  }

  async known(signal: AbortSignal): Promise<Known> {
    const { info, data } = await this.#openRun(signal);
    this.#run = info;
    await this.#addParams(data.params, signal);
    return new Map(data.metrics.map(({ key, step }) => [key, step]));
  }

  async add(lines: readonly TrackedLine[], signal: AbortSignal): Promise<void> {
    if (this.#run.status !== 'RUNNING') await this.#update({ status: 'RUNNING' }, signal);
    const metrics = lines.flatMap(({ iteration: step, time: timestamp, values }) =>
      Array.from(values, ([key, value]) => ({ key, value, timestamp, step })),
    );
    for (const part of parts(metrics, mostMetrics)) await this.#log({ metrics: part }, signal);
  }

  async end(outcome: Outcome, signal: AbortSignal): Promise<void> {
    const status = statuses[outcome];
    if (this.#run.status !== status) await this.#update({ status, end_time: Date.now() }, signal);
  }

  /** The run that was made for this one, or a new one. */
  async #openRun(signal: AbortSignal): Promise<ServerRun> {
    const kept = this.#readKept() ?? this.#keep({ key: randomUUID() });
    const { run: run_id } = kept;
    const known = run_id && (await unlessMissing(this.#api.get('runs/get', { run_id }, oneRun, signal)));
    if (known) return known.run;
    const experiment_id = await this.#experimentId(signal);
    const filter = `tags.\`${keyTag}\` = '${kept.key}'`;
    const found = await this.#api.post('runs/search', { experiment_ids: [experiment_id], filter }, runs, signal);
    const run = found.runs[0] ?? (await this.#makeRun(experiment_id, kept.key, signal));
    this.#keep({ ...kept, run: run.info.run_id });
    return run;
  }

  async #experimentId(signal: AbortSignal): Promise<string> {
    const query = { experiment_name: this.#experiment };
    const known = await unlessMissing(this.#api.get('experiments/get-by-name', query, experiment, signal));
    if (known) return known.experiment.experiment_id;
    const made = await this.#api.post('experiments/create', { name: this.#experiment }, madeExperiment, signal);
    return made.experiment_id;
  }

  async #makeRun(experiment_id: string, key: string, signal: AbortSignal): Promise<ServerRun> {
    const run_name = basename(resolve(this.#runDir));
    const tags = [{ key: keyTag, value: key }];
    const asked = { experiment_id, run_name, start_time: Date.now(), tags };
    return (await this.#api.post('runs/create', asked, oneRun, signal)).run;
  }

  async #addParams(known: readonly { key: string }[], signal: AbortSignal): Promise<void> {
    const missing = this.#params.filter(({ key }) => !known.some(param => param.key === key));
    for (const params of parts(missing, mostParams)) await this.#log({ params }, signal);
  }

  async #log(what: object, signal: AbortSignal): Promise<void> {
    await this.#api.post('runs/log-batch', { run_id: this.#run.run_id, ...what }, nothing, signal);
  }

  async #update(what: { status: string; end_time?: number }, signal: AbortSignal): Promise<void> {
    await this.#api.post('runs/update', { run_id: this.#run.run_id, ...what }, nothing, signal);
    this.#run.status = what.status;
  }

  get #keptFile(): string {
    return join(this.#runDir, mlflowFile);
  }

  #readKept(): Kept | undefined {
    try {
      return keptSchema.parse(JSON.parse(readFileSync(this.#keptFile, 'utf8')));
    } catch {
      return undefined;
    }
  }

  #keep(kept: Kept): Kept {
    writeFileWhole(this.#keptFile, JSON.stringify(kept));
    return kept;
  }
}

/** What a server answers; undefined where it has not what was asked for. */
async function unlessMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof MlflowRefusal && error.code === 'RESOURCE_DOES_NOT_EXIST') return undefined;
    throw error;
  }
}

function parts<T>(items: readonly T[], most: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / most) }, (_, i) => items.slice(i * most, (i + 1) * most));
}
