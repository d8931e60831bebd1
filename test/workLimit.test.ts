import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { threadClock, WorkLimit } from '../src/workLimit.ts';

describe('a limit', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** Work that has a share of a core for as long as it runs. */
  function work(share: number, limitMs = 1000) {
    const began = Date.now();
    const onOver = vi.fn();
    const limit = new WorkLimit(async () => (Date.now() - began) * share, limitMs, onOver);
    return { limit, onOver, pass: (ms: number) => vi.advanceTimersByTimeAsync(ms) };
  }

  test('is over when the work has used it, however long that takes', async () => {
    for (const share of [1, 0.5, 0.05]) {
      const { onOver, pass } = work(share);
      await pass(1000 / share - 20);
      expect(onOver).not.toHaveBeenCalled();
      await pass(150 / share);
      expect(onOver).toHaveBeenCalledTimes(1);
    }
  });

  test('does not count what was used before it began', async () => {
    const onOver = vi.fn();
    new WorkLimit(async () => 5000, 1000, onOver);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(onOver).not.toHaveBeenCalled();
  });

  test('is over on the wall for work that uses nothing, after a hundred times as long', async () => {
    const { onOver, pass } = work(0);
    await pass(99_000);
    expect(onOver).not.toHaveBeenCalled();
    await pass(2_000);
    expect(onOver).toHaveBeenCalledTimes(1);
  });

  test('knows at the end what nobody came to stop', async () => {
    const [short, long] = [work(1), work(1)];
    vi.setSystemTime(Date.now() + 900);
    expect(await short.limit.end()).toBe(false);
    vi.setSystemTime(Date.now() + 200);
    expect(await long.limit.end()).toBe(true);
    await vi.advanceTimersByTimeAsync(200_000);
    expect(long.onOver).not.toHaveBeenCalled();
  });
});

test("a thread's clock counts what the thread computes, not what passes meanwhile", async () => {
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads');
     const { readlinkSync } = require('node:fs');
     let thread;
     try { thread = Number(readlinkSync('/proc/thread-self').split('/').pop()); } catch {}
     parentPort.on('message', () => {
       const until = process.cpuUsage().user + 200_000;
       while (process.cpuUsage().user < until);
       parentPort.postMessage('done');
     });
     parentPort.postMessage(thread);`,
    { eval: true },
  );
  const [thread] = await once(worker, 'message');
  const clock = threadClock(worker, thread);
  const before = await clock();
  const waited = await new Promise<number>(resolve => setTimeout(async () => resolve(await clock()), 300));
  worker.postMessage('go');
  await once(worker, 'message');
  const computed = await clock();
  await worker.terminate();
  expect(computed - waited).toBeGreaterThan(10);
  if (process.platform === 'linux') expect(waited - before).toBeLessThan(100);
});
