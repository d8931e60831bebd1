/** What single columns hold, however a file's writer has put it. */
import { z } from 'zod';
import { parseJson, WrittenNumber } from '../../json.ts';
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
  return z.preprocess((value, context) => {
    if (typeof value !== 'string') return value;
    try {
      return parseJson(value);
    } catch (error) {
      context.addIssue({ code: 'custom', message: `is not valid JSON: ${(error as Error).message.slice(0, 200)}` });
      return z.NEVER;
    }
  }, schema);
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
