import { z } from 'zod';
import { UserError } from '../errors.ts';
import { firstIssue } from '../schema.ts';

/** Far above every vocabulary that there is: what is looked up by ids is as long as the largest of them. */
const largestTokenId = 1e7;

const tokenId = z.int().min(0).max(largestTokenId);

const preTokenizer = z.looseObject({ prepend_scheme: z.string().optional() });

const schema = z.looseObject({
  added_tokens: z.array(z.looseObject({ id: tokenId, content: z.string().min(1), special: z.boolean().optional() })),
  pre_tokenizer: preTokenizer.extend({ pretokenizers: z.array(preTokenizer).optional() }).nullable(),
  model: z.looseObject({
    type: z.literal('BPE'),
    // Hundreds of thousands of entries, for which a schema each would take seconds.
    vocab: z.custom<Record<string, number>>(isVocabulary, 'expected an object of tokens and their ids'),
    merges: z.custom<(string | string[])[]>(isMerges, 'expected an array of pairs of tokens'),
    unk_token: z.string().nullish(),
  }),
  decoder: z.unknown(),
});

/** The content of a `tokenizer.json`, as far as it is read here. */
export type TokenizerJson = z.infer<typeof schema>;

/** Whether an added token is control: special, or it looks like markup (`<think>`, `[INST]`). */
export function isControl(token: { content: string; special?: boolean }): boolean {
  return token.special === true || /^[<[{|].*[>\]}|]$/su.test(token.content);
}

/**
 * Checks what a file says of a tokenizer; `path` names it in errors.
 * @throws UserError where it is no BPE tokenizer, or its ids and merges contradict each other.
 */
export function parseTokenizer(content: unknown, path: string): TokenizerJson {
  const result = schema.safeParse(content);
  if (!result.success) {
    throw new UserError(`${path}: ${firstIssue(result.error)}; a BPE tokenizer in Hugging Face's format is wanted`);
  }
  refuseDuplicates(result.data, path);
  refuseUnknownMerges(result.data, path);
  return result.data;
}

/** One more than the largest id. */
export function vocabularySize({ model, added_tokens: added }: TokenizerJson): number {
  return 1 + [...Object.values(model.vocab), ...added.map(({ id }) => id)].reduce((a, b) => Math.max(a, b), -1);
}

function isVocabulary(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && Object.values(value).every(isTokenId);
}

function isTokenId(id: unknown): boolean {
  return Number.isInteger(id) && (id as number) >= 0 && (id as number) <= largestTokenId;
}

function isMerges(value: unknown): boolean {
  return Array.isArray(value) && value.every(merge => pairOf(merge) !== undefined);
}

function pairOf(merge: unknown): [string, string] | undefined {
  const parts = typeof merge === 'string' ? merge.split(' ') : merge;
  const isPair = Array.isArray(parts) && parts.length === 2 && parts.every(part => typeof part === 'string' && part);
  return isPair ? (parts as [string, string]) : undefined;
}

/** An id stands for one token, and a token has one id. */
function refuseDuplicates({ model, added_tokens: added }: TokenizerJson, path: string): void {
  const tokens = new Map<number, string>();
  const ids = new Map<string, number>();
  const entries = [...Object.entries(model.vocab), ...added.map(({ content, id }) => [content, id] as const)];
  for (const [token, id] of entries) {
    const [otherToken, otherId] = [tokens.get(id) ?? token, ids.get(token) ?? id];
    if (otherToken !== token) {
      throw new UserError(`${path}: id ${id} stands for ${JSON.stringify(otherToken)} and ${JSON.stringify(token)}`);
    }
    if (otherId !== id)
      throw new UserError(`${path}: the token ${JSON.stringify(token)} has the ids ${otherId} and ${id}`);
    tokens.set(id, token);
    ids.set(token, id);
  }
}

function refuseUnknownMerges({ model }: TokenizerJson, path: string): void {
  const known = (token: string) => Object.hasOwn(model.vocab, token);
  for (const merge of model.merges) {
    const [left, right] = pairOf(merge)!;
    const unknown = [left, right, left + right].find(token => !known(token));
    if (unknown === undefined) continue;
    throw new UserError(
      `${path}: the merge ${JSON.stringify(merge)} needs ${JSON.stringify(unknown)}, which is no token`,
    );
  }
}
