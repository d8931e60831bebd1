import { beforeAll, describe, expect, test } from 'vitest';
import { costlySchemas, formatted, hostileBodies, type Route } from '../../bench/hostile/requests.ts';
import { ApiError } from '../../src/serve/apiError.ts';
import { parseBody } from '../../src/serve/body.ts';
import { readChat } from '../../src/serve/chatReading.ts';
import { readCompletion } from '../../src/serve/completionReading.ts';
import { PromptModel } from '../../src/serve/promptModel.ts';
import { readResponse } from '../../src/serve/responses/reading.ts';
import { weatherModel } from './weatherModel.ts';

let model: PromptModel;
beforeAll(async () => {
  model = new PromptModel({
    checkpoint: await weatherModel(),
    names: ['weather'],
    contextTokens: 4096,
    vocabularySize: 1000,
  });
}, 180_000);

const readers: Record<Route, (body: unknown) => unknown> = {
  'chat/completions': body => readChat(model, body),
  completions: body => readCompletion(model, body),
  responses: body => readResponse(model, body),
};

function millisecondsOf(route: Route, body: Uint8Array): number {
  const before = process.cpuUsage();
  try {
    readers[route](parseBody(body));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

describe('twice the bytes take 2.5 times the time at most, up to 1 MiB', () => {
  /** Below it the clock and the collector decide. */
  const floorMs = 20;
  test.each(hostileBodies)('%s', (_, body, route) => {
    const sizes = [2 ** 18, 2 ** 19, 2 ** 20].map(bytes => Buffer.from(body(bytes)));
    const best = sizes.map(() => Number.POSITIVE_INFINITY);
    const linear = () => best[2] <= 2.5 ** 2 * Math.max(best[0], floorMs);
    // Whatever else runs can only make a time longer: the shortest of some runs is the one that counts, and two doublings tell more
    // than one.
    for (let run = 0; run < 8 && (run === 0 || !linear()); run++) {
      sizes.forEach((bytes, i) => {
        best[i] = Math.min(best[i], millisecondsOf(route, bytes));
      });
    }
    expect(linear(), `${best.map(ms => ms.toFixed(0)).join(', ')} ms`).toBe(true);
  });
});

describe('a schema that means too much is refused with words, in bounded time and memory', () => {
  test.each([
    ['nested optional properties', /^$|too large|too many ways/],
    ['more of them', /too large/],
    ['references to references', /too large/],
    ['alternatives beside many properties', /too large|is the most/],
    ['alternatives of strings with lengths', /^$|too large|too many ways/],
    ['an enum of 15,000', /^$|too large/],
    ['one that is itself', /no value fits/],
  ])('%s', (name, words) => {
    const start = performance.now();
    let told = '';
    try {
      readers['chat/completions'](formatted(costlySchemas[name]));
    } catch (error) {
      expect(error).toBeInstanceOf(ApiError);
      told = (error as Error).message;
    }
    expect(told).toMatch(words);
    expect(performance.now() - start).toBeLessThan(5000);
  });
});

test('an error quotes no more than the ends of what it is about', () => {
  const { message } = new ApiError(400, `no ${'x'.repeat(1 << 20)} is known`);
  expect(message.length).toBeLessThan(2100);
  expect(message).toMatch(/^no x+ … x+ is known$/);
});
