/** Groups that teach something: where all rewards are equal, all advantages are 0 (DAPO's dynamic sampling, Yu et al. 2025). */
import type { Trajectory } from '../agent/trajectory.ts';
import type { Task } from '../data/task.ts';
import { rolloutDiagnostics } from '../methods/diagnostics.ts';

/** A group of trajectories for each task. */
export interface SampledGroups {
  tasks: Task[];
  groups: Trajectory[][];
}

export interface RefilledGroups extends SampledGroups {
  /** Batches that were sampled. */
  batches: number;
  /** Share of all sampled groups whose rewards are all equal. */
  equalShare: number;
  /** Of all sampled trajectories. */
  accuracy: number;
}

/**
 * Samples batches until there are `size` groups whose rewards are not all equal, but no more than `most`; what is missing then is
 * made up by others.
 */
export async function refilled(
  size: number,
  most: number,
  sample: (batch: number) => Promise<SampledGroups>,
): Promise<RefilledGroups> {
  const all: { task: Task; group: Trajectory[] }[] = [];
  const isMixed = ({ group }: (typeof all)[number]) => group.some(({ reward }) => reward !== group[0].reward);
  let batches = 0;
  do {
    const { tasks, groups } = await sample(batches++);
    all.push(...tasks.map((task, i) => ({ task, group: groups[i] })));
  } while (all.filter(isMixed).length < size && batches < most);
  const mixed = all.filter(isMixed);
  const chosen = [...mixed, ...all.filter(sampled => !isMixed(sampled))].slice(0, size);
  return {
    tasks: chosen.map(({ task }) => task),
    groups: chosen.map(({ group }) => group),
    batches,
    equalShare: 1 - mixed.length / all.length,
    accuracy: rolloutDiagnostics(all.flatMap(({ group }) => group)).accuracy,
  };
}
