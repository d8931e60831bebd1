import { z } from 'zod';

/** Keeps the division defined where all rewards of a group are equal. */
const EPSILON = 1e-6;

export const outcomeOptions = {
  /** Divide by the group's standard deviation. False is Dr. GRPO (Liu et al. 2025). */
  normalizeByStd: z.boolean().default(true),
};

/**
 * Each reward against its group: (r − mean) / (std + 1e-6), std with Bessel's correction (Shao et al. 2024).
 * A group of one has nothing to compare with: mean 0, std 1.
 */
export function outcomeAdvantages(rewards: readonly number[], { normalizeByStd = true } = {}): number[] {
  const alone = rewards.length === 1;
  const mean = alone ? 0 : rewards.reduce((sum, r) => sum + r, 0) / rewards.length;
  if (!normalizeByStd) return rewards.map(r => r - mean);
  const std = alone ? 1 : Math.sqrt(rewards.reduce((sum, r) => sum + (r - mean) ** 2, 0) / (rewards.length - 1));
  return rewards.map(r => (r - mean) / (std + EPSILON));
}
