import { isOpenEnv } from './openenv/address.ts';

const named = /^(.+?)(?::(\d+))?$/s;
/** A first number behind a host is its port. */
const served = /^([^/]+\/\/(?:\[[^\]]*\]|[^:/]+)(?::\d+)?(?:\/[^:]*)?)(?::(\d+))?$/;

/** A world, and how many of its tasks: `shop:20`, `openenv:http://127.0.0.1:8000:20`; no world where it is neither. */
export function parseTaskCount(text: string): { world?: string; count?: number } {
  const [, world, count] = (isOpenEnv(text) ? served : named).exec(text) ?? [];
  return { world, count: count === undefined ? undefined : Number(count) };
}
