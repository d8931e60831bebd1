/** What single columns hold, however a file's writer has put it. */
import { z } from 'zod';
import { parseJson, WrittenNumber } from '../../json.ts';
import { parsePythonLiteral } from '../../pythonLiteral.ts';
import type { Message } from '../../text/message.ts';

/** Text that says something. */
export const text = z.string('must be text').refine(value => value.trim() !== '', 'is empty');

/** Text, or a number as text. */
export const shortAnswer = z
  .union([z.string(), z.number(), z.instanceof(WrittenNumber)], 'must be text or a number')
  .transform(value => String(value).trim())
  .refine(value => value !== '', 'is empty');

/** What `schema` describes, or the same written as JSON. */
export function asJson<Schema extends z.ZodType>(schema: Schema) {
  return asWritten(schema, parseJson, error => `is not valid JSON: ${error}`);
}

/** What `schema` describes, or the same written as JSON or as a literal of Python. */
export function asLiteral<Schema extends z.ZodType>(schema: Schema) {
  return asWritten(schema, parseLiteral, error => `is not valid JSON, and no literal of Python: ${error}`);
}

function asWritten<Schema extends z.ZodType>(
  schema: Schema,
  parse: (text: string) => unknown,
  wrong: (error: string) => string,
) {
  return z.preprocess((value, context) => {
    if (typeof value !== 'string') return value;
    try {
      return parse(value);
    } catch (error) {
      context.addIssue({ code: 'custom', message: wrong((error as Error).message.slice(0, 200)) });
      return z.NEVER;
    }
  }, schema);
}

/** What `schema` describes, where text may be a list written as JSON or as a literal of Python; other text is itself. */
export function literalOr<Schema extends z.ZodType>(schema: Schema) {
  return z.preprocess(value => (typeof value === 'string' ? textOrList(value) : value), schema);
}

/** The list of text that a text spells, or else the text. */
export function textOrList(written: string): string | string[] {
  if (!/^\s*\[[\s\S]*\]\s*$/.test(written)) return written;
  try {
    const list = parseLiteral(written);
    return Array.isArray(list) && list.every(item => typeof item === 'string') ? list : written;
  } catch {
    return written;
  }
}

function parseLiteral(written: string): unknown {
  try {
    return parseJson(written);
  } catch (jsonError) {
    try {
      return parsePythonLiteral(written);
    } catch {
      throw jsonError;
    }
  }
}

/** An optional column; Parquet has null where JSON has nothing. */
export function maybe<Schema extends z.ZodType>(schema: Schema) {
  return schema.nullish().transform(value => value ?? undefined);
}

/** The dialogue before the model's first turn: a system message, perhaps, and the user's last. */
export const promptMessages = z
  .array(
    z.object({
      role: z.enum(['system', 'user'], "role must be 'system' or 'user'"),
      content: text,
    }),
    'must be a list of messages with role and content',
  )
  .min(1, 'has no message')
  .refine(messages => messages.at(-1)?.role === 'user', "the last message must be the user's")
  .transform((messages): Message[] => messages);

/** What `schema` makes of a value that has been chosen in a transform; its issues are those of the transform, at `path`. */
export function parsed<T>(
  schema: z.ZodType<T>,
  value: unknown,
  context: z.core.$RefinementCtx,
  path: PropertyKey[] = [],
): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  for (const issue of result.error.issues) {
    context.addIssue({ code: 'custom', path: [...path, ...issue.path], message: issue.message });
  }
  return z.NEVER;
}
