import { parse } from 'lossless-json';

/** Whether two values written as JSON are equal as Python has it: 1 = 1.0 = true, integers of any size exact. */
export function sameValue(result: string, wanted: string): boolean {
  try {
    return equal(parse(result, undefined, pythonNumber), parse(wanted, undefined, pythonNumber));
  } catch {
    return false; // NaN and the like, which are no JSON
  }
}

/** Integers as bigint, all others as the doubles that they are in Python. */
function pythonNumber(text: string): bigint | number {
  return /^-?\d+$/.test(text) ? BigInt(text) : Number(text);
}

function equal(a: unknown, b: unknown): boolean {
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, i) => equal(item, b[i]));
  if (isObject(a)) {
    const keys = Object.keys(a);
    return (
      isObject(b) &&
      keys.length === Object.keys(b).length &&
      keys.every(key => Object.hasOwn(b, key) && equal(a[key], b[key]))
    );
  }
  // biome-ignore lint/suspicious/noDoubleEquals: a bigint and a number are equal by value, which === never says
  return isNumber(a) && isNumber(b) ? numeric(a) == numeric(b) : a === b;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isNumber(value: unknown): value is bigint | number | boolean {
  return typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean';
}

function numeric(value: bigint | number | boolean): bigint | number {
  return typeof value === 'boolean' ? BigInt(value) : value;
}
