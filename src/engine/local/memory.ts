import { freemem } from 'node:os';
import { inGiB } from '../../bytes.ts';
import { UserError } from '../../errors.ts';
import type { ModelConfig } from '../../model/config.ts';
import {
  expandedBytes,
  frozenBytes,
  type MemoryNeed,
  type MemoryOptions,
  memoryNeed,
  type Recompute,
  total,
} from './memoryNeed.ts';

/** How a model is held, as far as that can be chosen: what it computes is the same, bit for bit. */
export interface MemoryPlan {
  need: MemoryNeed;
  inBlocks: boolean;
  recompute: Recompute;
}

/** The quickest way to hold a model that fits; of none that does, that which takes least. */
export function planMemory(config: ModelConfig, options: MemoryOptions, available: number): MemoryPlan {
  const plans = waysToHoldWeights(config, options).flatMap(inBlocks =>
    waysToTrain(options).map(recompute => {
      const held = { inBlocks, recompute };
      return { ...held, need: memoryNeed(config, options, held) };
    }),
  );
  return plans.find(({ need }) => total(need) <= available) ?? plans.at(-1)!;
}

function waysToTrain({ trainable, recompute = 'auto' }: MemoryOptions): Recompute[] {
  if (!trainable) return ['off'];
  return recompute === 'auto' ? ['auto', 'on'] : [recompute];
}

/** Whether in blocks, the quicker first: for what only scores, whose passes are large, expanding them is no work to speak of. */
function waysToHoldWeights(config: ModelConfig, options: MemoryOptions): boolean[] {
  const { scoresOnly, lora, sharesBase, quantized = 'auto', blockBytes } = options;
  if (!(scoresOnly || lora) || sharesBase || blockBytes === undefined || quantized === 'whole') return [false];
  if (blockBytes + expandedBytes(config, options) >= frozenBytes(config, options)) return [false];
  return quantized === 'auto' && !scoresOnly ? [false, true] : [true];
}

/** Memory that the system can still give, in bytes. What a GPU can give, WebGPU does not say: one that is full says so itself. */
export function availableMemory(device: 'cpu' | 'gpu' = 'cpu'): number {
  if (device === 'gpu') return Number.POSITIVE_INFINITY;
  return process.availableMemory?.() ?? freemem();
}

/** A part of what is needed, as people call it. */
export interface MemoryPart {
  what: string;
  bytes: number;
}

/** What of it is not nothing. */
export function partsOf({ need, inBlocks, recompute }: MemoryPlan): MemoryPart[] {
  const parts = [
    { what: inBlocks ? 'weights in blocks' : 'weights', bytes: need.weights },
    { what: 'expanded weights', bytes: need.expanded },
    { what: 'optimizer', bytes: need.optimizer },
    { what: recompute === 'on' ? 'activations of layers computed twice' : 'activations', bytes: need.activations },
    { what: 'positions', bytes: need.positions },
    { what: keysAndValues, bytes: need.cache },
  ];
  return parts.filter(({ bytes }) => bytes > 0);
}

/** Of what is sampled. */
export const keysAndValues = 'keys and values';

/**
 * @param what a model or a run
 * @throws UserError when it cannot fit, with the numbers and what can be done
 */
export function refuseTooLarge(what: string, parts: readonly MemoryPart[], available: number): void {
  if (parts.reduce((sum, { bytes }) => sum + bytes, 0) <= available) return;
  const numbers = parts.map(({ what, bytes }) => `${what} ${inGiB(bytes)}`).join(' + ');
  const cache = parts.some(({ what }) => what === keysAndValues) ? ' or engine.cacheBytes' : '';
  throw new UserError(
    `${what} does not fit into memory: it needs ${numbers} GiB, and ${inGiB(available)} GiB are free; ` +
      `close other programs, lower engine.activationBytes${cache}, or take shorter sequences or a smaller model`,
  );
}

/** @throws UserError when there is no room for the keys and values of what is sampled. */
export function refuseCache(checkpoint: string, cacheBytes: number, available: number): void {
  if (cacheBytes <= available) return;
  throw new UserError(
    `${checkpoint}: keys and values of what is sampled would take ${inGiB(cacheBytes)} GiB, and ${inGiB(available)} GiB are ` +
      'free; close other programs or lower engine.cacheBytes',
  );
}
