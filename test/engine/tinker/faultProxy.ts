import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../../../src/random.ts';
import { type Answered, startProxy } from './proxy.ts';

/** What can happen to a request on its way, and how. */
const faults = {
  /** The server never hears of it. */
  droppedBefore: async ({ res }: Passage) => {
    res.destroy();
  },
  /** The server does it, and its answer is lost. */
  droppedAfter: async ({ res, forward }: Passage) => {
    await forward();
    res.destroy();
  },
  /** The connection breaks in the middle of the answer. */
  droppedWithin: async ({ res, forward }: Passage) => {
    const { status, headers, body } = await forward();
    res.writeHead(status, { ...headers, 'content-length': body.length });
    res.write(body.subarray(0, body.length / 2));
    await sleep(1);
    res.destroy();
  },
  busy: async ({ res }: Passage) => {
    res.writeHead(429).end('{"detail": "too many requests"}');
  },
  failing: async ({ res }: Passage) => {
    res.writeHead(500).end('Internal Server Error');
  },
  /** The server does it, and says that it failed. */
  failingAfter: async ({ res, forward }: Passage) => {
    await forward();
    res.writeHead(502).end('<html>Bad Gateway</html>');
  },
  slow: async ({ res, forward, random }: Passage) => {
    await sleep(random.below(150));
    const { status, headers, body } = await forward();
    res.writeHead(status, headers).end(body);
  },
  garbage: async ({ res, forward, random }: Passage) => {
    const { status, headers, body } = await forward();
    const junk = Uint8Array.from(body, () => random.below(256));
    res.writeHead(status, { 'content-type': headers['content-type'] }).end(junk);
  },
  otherJson: async ({ res }: Passage) => {
    res.writeHead(200, { 'content-type': 'application/json' }).end('{"hello": ["world"]}');
  },
};
export type Fault = keyof typeof faults;

interface Passage {
  res: ServerResponse;
  random: Random;
  forward(): Promise<Answered>;
}

/** Stands before a server and lets one in `every` requests meet with a fault, chosen by `seed`. */
export async function startFaultProxy(target: string, { seed, every }: { seed: number; every: number }) {
  const random = Random.of(seed, 'faults');
  const names = Object.keys(faults) as Fault[];
  const met = Object.fromEntries(names.map(name => [name, 0])) as Record<Fault, number>;
  const proxy = await startProxy(target, async (_, res, forward) => {
    if (random.below(every) > 0) return false;
    const fault = random.pick(names);
    met[fault]++;
    await faults[fault]({ res, random, forward });
    return true;
  });
  return {
    ...proxy,
    /** How often each fault was met with. */
    met,
  };
}
