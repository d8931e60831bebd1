import { isObject, parseJson, WrittenNumber } from '../json.ts';
import { ApiError } from './apiError.ts';

/** Deeper than what people write; whatever walks through a value by calling itself has room for it. */
const maxNesting = 100;

/** The JSON of a request's body. @throws ApiError 400 */
export function parseBody(bytes: Uint8Array): unknown {
  let text: string;
  let body: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    body = parseJson(text);
  } catch (error) {
    throw new ApiError(400, `The body is no JSON: ${(error as Error).message}`, { code: 'invalid_json' });
  }
  const deepest = nesting(text);
  if (deepest > maxNesting) {
    throw new ApiError(400, `The body is nested ${deepest} deep; ${maxNesting} is the most.`, { code: 'invalid_json' });
  }
  return withWholeSeed(body);
}

/** How deep the brackets of a JSON text, which is a valid one, are nested. */
function nesting(json: string): number {
  let depth = 0;
  let deepest = 0;
  for (let at = 0; at < json.length; at++) {
    const mark = json[at];
    if (mark === '[' || mark === '{') deepest = Math.max(deepest, ++depth);
    else if (mark === ']' || mark === '}') depth--;
    else if (mark === '"') while (json[++at] !== '"') if (json[at] === '\\') at++;
  }
  return deepest;
}

/** A seed may have 64 bits, of which a number of JavaScript keeps 53. */
function withWholeSeed(body: unknown): unknown {
  if (!isObject(body) || !(body.seed instanceof WrittenNumber)) return body;
  const written = String(body.seed);
  return /^-?\d{1,20}$/.test(written) ? { ...body, seed: BigInt(written) } : body;
}
