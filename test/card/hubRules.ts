import { parse } from 'yaml';
import { z } from 'zod';

const text = z.string().min(1);
const hubName = z.string().regex(/^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/);

/** What the Hub wants of a model card's metadata; of what it takes besides, only what our cards use. */
const metadataSchema = z.strictObject({
  license: z
    .string()
    .regex(/^[a-z0-9][a-z0-9.+-]*$/)
    .optional(),
  base_model: hubName.optional(),
  base_model_relation: z.enum(['finetune', 'adapter']).optional(),
  library_name: z.enum(['transformers', 'peft']),
  pipeline_tag: z.literal('text-generation'),
  tags: z.array(z.string().regex(/^[a-z0-9-]+$/)).optional(),
  datasets: z.array(hubName).optional(),
  'model-index': z
    .tuple([
      z.strictObject({
        name: text,
        results: z
          .array(
            z.strictObject({
              task: z.strictObject({ type: z.literal('text-generation') }),
              dataset: z.strictObject({
                name: text,
                type: text,
                revision: text.optional(),
                args: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
              }),
              metrics: z.array(z.strictObject({ type: text, value: z.number().min(0).max(100), name: text })).min(1),
              // The Hub's own library refuses a source without the address of a page.
              source: z.strictObject({ name: text, url: z.url() }).optional(),
            }),
          )
          .min(1),
      }),
    ])
    .optional(),
});

/** The metadata of a card, checked. */
export function metadataOf(card: string): z.infer<typeof metadataSchema> {
  const [, yaml] = /^---\n([\s\S]*?\n)---\n/.exec(card)!;
  return metadataSchema.parse(parse(yaml));
}
