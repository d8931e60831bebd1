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
export function vocabularySize({ model: { vocab }, added_tokens: added }: TokenizerJson): number {
  let largest = -1;
  for (const token in vocab) largest = Math.max(largest, vocab[token]);
  for (const { id } of added) largest = Math.max(largest, id);
  return largest + 1;
}

/** Like everything here that sees a whole vocabulary, it goes by `for … in`: `Object.values` and `entries` take three times as long. */
function isVocabulary(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const vocab = value as Record<string, unknown>;
  for (const token in vocab) if (!isTokenId(vocab[token])) return false;
  return true;
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
function refuseDuplicates({ model: { vocab }, added_tokens: added }: TokenizerJson, path: string): void {
  const tokenOf: (string | undefined)[] = [];
  const claim = (token: string, id: number) => {
    const other = tokenOf[id] ?? token;
    if (other !== token) {
      throw new UserError(`${path}: id ${id} stands for ${JSON.stringify(other)} and ${JSON.stringify(token)}`);
    }
    tokenOf[id] = token;
  };
  for (const token in vocab) claim(token, vocab[token]);
  const idOf = new Map<string, number>();
  for (const { content: token, id } of added) {
    claim(token, id);
    const other = (Object.hasOwn(vocab, token) ? vocab[token] : idOf.get(token)) ?? id;
    if (other !== id) throw new UserError(`${path}: the token ${JSON.stringify(token)} has the ids ${other} and ${id}`);
    idOf.set(token, id);
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
