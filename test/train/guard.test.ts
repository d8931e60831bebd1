import { expect, test } from 'vitest';
import { departures, formatDepartures } from '../../src/train/guard.ts';
import type { Guard } from '../../src/train/guardSchema.ts';
import { type OnPolicyRecipe, parseRecipe } from '../../src/train/recipe.ts';
import type { Metrics } from '../../src/train/runDirectory.ts';

const guardOf = (guard?: unknown): Guard =>
  (parseRecipe({ method: 'grpo', model: 'm', ...(guard !== undefined && { guard }) }) as OnPolicyRecipe).guard;

/** A run that scatters a little around what it begins with, and from iteration 11 on is what `later` says. */
function run(later: Partial<Record<string, number>>, iterations = 15): Metrics[] {
  const usual = { reverseKl: 0.2, responseTokens: 400, toolTurns: 3.7, accuracy: 0.3 };
  return Array.from({ length: iterations }, (_, i) => {
    const scatter = 1 + 0.05 * Math.sin(3 * i);
    const now = { ...usual, ...(i >= 10 && later) };
    const metrics = Object.entries(now).map(([name, value]) => [name, scatter * value!]);
    return { iteration: i + 1, update: 4 * (i + 1), ...Object.fromEntries(metrics) };
  });
}
const named = (later: Partial<Record<string, number>>, guard = guardOf()) =>
  departures(run(later), guard).map(({ metric }) => metric);

test('what collapses is named, what gets better is not', () => {
  expect(named({})).toEqual([]);
  expect(named({ reverseKl: 2 })).toEqual(['reverseKl']);
  expect(named({ toolTurns: 0.5, accuracy: 0.05 })).toEqual(['toolTurns', 'accuracy']);
  expect(named({ responseTokens: 100 })).toEqual(['responseTokens']);
  expect(named({ responseTokens: 1600 })).toEqual(['responseTokens']);
  expect(named({ reverseKl: 0.01, toolTurns: 12, accuracy: 0.9 })).toEqual([]);
});

test('the first iterations say how far what follows may scatter, and how many are too few', () => {
  const wild = run({ accuracy: 0.1 }).map((line, i) => (i < 10 ? { ...line, accuracy: i % 2 ? 0.55 : 0.05 } : line));
  expect(departures(wild, guardOf())).toEqual([]);
  expect(departures(wild, guardOf({ deviations: 0 })).map(({ metric }) => metric)).toEqual(['accuracy']);
  expect(departures(run({ accuracy: 0 }, 12), guardOf())).toEqual([]);
  expect(departures(run({ accuracy: 0 }, 12), guardOf({ last: 2 }))).toHaveLength(1);
});

test('a fall is named as soon as the last iterations together are beyond the band', () => {
  const since = [11, 12, 13, 14, 15].map(count => departures(run({ accuracy: 0 }).slice(0, count), guardOf()).length);
  expect(since).toEqual([0, 0, 1, 1, 1]);
  const measured = [{ iteration: 0, update: 0, evaluation: {} }, ...run({ accuracy: 0 })];
  expect(departures(measured.slice(0, 13), guardOf())).toEqual([]);
});

test('says it in one line', () => {
  expect(formatDepartures(departures(run({ toolTurns: 0.5 }), guardOf()), 15, guardOf())).toMatch(
    /^guard: in iterations 13 to 15, tool calls a trajectory is 0\.\d+, below 1\.8\d? \(iterations 1 to 10: 3\.\d+ ± 0\.\d+\): the policy may be collapsing$/,
  );
});

test('its options are a section, or the action alone', () => {
  expect(guardOf()).toMatchObject({ action: 'warn', first: 10, last: 3, reverseKl: 3, accuracy: 2, deviations: 4 });
  expect(guardOf('stop')).toEqual({ ...guardOf(), action: 'stop' });
  expect(named({ accuracy: 0 }, guardOf('off'))).toEqual([]);
  expect(named({ accuracy: 0, toolTurns: 0 }, guardOf({ accuracy: 'off' }))).toEqual(['toolTurns']);
  expect(() => guardOf('halt')).toThrow(/recipe: guard\.action: expected one of "warn"\|"stop"\|"off"/);
  expect(() => guardOf({ reverseKl: 1 })).toThrow(/guard\.reverseKl: .*>1/);
});
