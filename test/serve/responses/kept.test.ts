import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { KeptResponses } from '../../../src/serve/responses/kept.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const dialogue = { messages: ['{"role":"user","content":"x"}'], pending: ['call_1'] };

test('what is kept is there for an hour', () => {
  const kept = new KeptResponses();
  kept.keep('one', { id: 'one' }, dialogue);
  vi.advanceTimersByTime(3599_000);
  expect(kept.response('one')).toBe('{"id":"one"}');
  expect(kept.dialogue('one')).toBe(dialogue);
  vi.advanceTimersByTime(1001);
  expect(() => kept.response('one')).toThrow(/no response "one"/);
});

test('the oldest are forgotten where there is no room, and one that has none is not kept', () => {
  const kept = new KeptResponses(64 << 10);
  const large = { text: 'x'.repeat(10 << 10) };
  for (const id of ['1', '2', '3', '4']) kept.keep(id, large, dialogue);
  expect(() => kept.response('1')).toThrow();
  for (const id of ['2', '3', '4']) expect(kept.response(id)).toContain('xxx');
  kept.delete('3');
  kept.keep('5', large, dialogue);
  expect(kept.response('2')).toContain('xxx');
  kept.keep('6', { text: 'x'.repeat(40 << 10) }, dialogue);
  for (const id of ['2', '4', '5', '6']) expect(() => kept.response(id)).toThrow();
});
