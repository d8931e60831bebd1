import { inGiB } from '../bytes.ts';
import { availableMemory } from '../engine/local/memory.ts';
import { type ModelConfig, parameterCount } from '../model/config.ts';
import { factorCount, type LoraShape } from '../model/lora.ts';
import { formatServer } from '../tools/mcp/servers.ts';
import { missingText } from '../tools/packages/store.ts';
import { formatToolProfile } from '../tools/profile.ts';
import { accelerators, assumptions, type OnPolicyWork, timeOn } from './clusterTime.ts';
import { formatEnginePlan } from './enginePlan.ts';
import { formatEvaluations } from './evaluationsPlan.ts';
import type { PlannedTeacher, TrainingPlan } from './plan.ts';
import { formatPolicyPlan } from './policyPlan.ts';
import { mostRatio } from './staleness.ts';

/** How many accelerators a run's time is told for. */
const counts = [1, 8, 64];

const ahead: [string, string] = [
  'ahead',
  `rollouts begin before the updates of the iteration before theirs, by its weights, and count by importance weights of at most ${mostRatio}`,
];

/** The plan as people read it. */
export function formatPlan(plan: TrainingPlan): string {
  const { method, iterations, updates, sequences, maxTokens, downloads } = plan;
  const lines: [string, string][] = [
    ['method', method],
    ['tool', formatToolProfile(plan.tool)],
    ...plan.mcp.map((server): [string, string] => ['MCP server', formatServer(server)]),
    ...(plan.missingPackages.length > 0 ? [['packages', missingText(plan.missingPackages)] as [string, string]] : []),
    ['model', models(plan)],
    ...(plan.lora ? [['adapters', adapters(plan.lora, plan.model)] as [string, string]] : []),
    ['updates', `${updates}${iterations === updates ? '' : ` in ${iterations} iterations`}`],
    ['sequences', `${sequences}, of at most ${maxTokens} tokens: at most ${scientific(sequences * maxTokens)} tokens`],
    ...computation(plan),
    ...(plan.policy ? [formatPolicyPlan(plan.policy)] : []),
    ...(plan.ahead ? [ahead] : []),
    ...(plan.missingMetrics ? [['metrics', plan.missingMetrics] as [string, string]] : []),
    ...(plan.engine ? formatEnginePlan(plan.engine) : memory(plan)),
    ...acceleratorMemory(plan),
    ...(plan.work ? [simulated(plan.work)] : []),
    ['evaluations', plan.evaluations ? formatEvaluations(plan.evaluations) : 'none: see evaluate in docs/method.md'],
    ...(plan.guard ? [['guard', plan.guard] as [string, string]] : []),
    ...plan.trackers.map((tracker): [string, string] => ['tracker', tracker]),
    ['downloads', downloads.length ? downloads.map(download).join(', ') : 'nothing'],
    ...(plan.data.length > 0 ? [['data', plan.data.join('; ')] as [string, string]] : []),
  ];
  const width = Math.max(...lines.map(([name]) => name.length));
  return lines.map(([name, text]) => `${name.padEnd(width)}  ${text}`).join('\n');
}

function models({ model, teachers, missing }: TrainingPlan): string {
  if (missing.length > 0) {
    return (
      `no model yet in ${missing.join(' and ')}: computation and memory are known when it is trained or downloaded, ` +
      'or when base says what model is made from'
    );
  }
  return [`${billions(model!)} parameters`, ...teachers.map(teacher)].join(', ');
}

function teacher({ name, place, config }: PlannedTeacher): string {
  return `teacher ${name ? `of ${name} ` : ''}${config ? billions(config) : `at ${place}`}`;
}

function adapters(lora: LoraShape, model: ModelConfig | undefined): string {
  const size = model ? `, ${millions(factorCount(model, lora))} numbers` : '';
  return `of rank ${lora.rank}, alpha ${lora.alpha}, on ${lora.targets.join(', ')}${size}: nothing else is trained`;
}

function computation({ flops, missing }: TrainingPlan): [string, string][] {
  if (missing.length > 0) return [];
  const total = flops.reduce((sum, part) => sum + part.flops, 0);
  const each = flops.map(part => `${part.what} ${scientific(part.flops)}`).join(', ');
  return [['computation', `at most ${scientific(total)} FLOP: ${each}`]];
}

function memory({ memory, device, missing }: TrainingPlan): [string, string][] {
  if (missing.length > 0) return [];
  const [needed, available] = [sum(memory), availableMemory()];
  if (device === 'gpu') {
    return [['memory on its GPU', `${inGiB(needed)} GiB: ${parts(memory)}; how much it has, WebGPU does not say`]];
  }
  const fits = needed <= available ? 'fits' : 'does not fit';
  return [['memory here', `${inGiB(needed)} GiB: ${parts(memory)}; ${inGiB(available)} GiB are free, it ${fits}`]];
}

function acceleratorMemory({ acceleratorMemory, missing }: TrainingPlan): [string, string][] {
  if (missing.length > 0) return [];
  const needed = sum(acceleratorMemory);
  const cards = accelerators.map(({ name, gib }) => `${Math.ceil(needed / (gib * 2 ** 30))} × ${name} ${gib} GiB`);
  return [['memory on GPUs', `${inGiB(needed)} GiB: ${parts(acceleratorMemory)}; at least ${cards.join(', or ')}`]];
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
  return [
    `time on ${accelerator.name}s`,
    `simulated as if nothing overlapped, responses of ${mean} tokens on average: ${times.join('; ')}`,
  ];
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
  return parameters < 1e8 ? millions(parameters) : `${(parameters / 1e9).toFixed(2)}B`;
}

function millions(count: number): string {
  return `${(count / 1e6).toFixed(2)}M`;
}

function scientific(value: number): string {
  return value < 1e6 ? String(value) : value.toExponential(1).replace('e+', 'e');
}
