import { z } from 'zod';

const specialToken = z
  .union([z.string(), z.looseObject({ content: z.string() })])
  .nullish()
  .transform(token => (typeof token === 'object' ? token?.content : token));

/** `tokenizer_config.json`, as far as it is read. */
export const tokenizerConfig = z.looseObject({
  bos_token: specialToken,
  eos_token: specialToken,
  pad_token: specialToken,
  unk_token: specialToken,
  chat_template: z.union([z.string(), z.array(z.object({ name: z.string(), template: z.string() }))]).nullish(),
});

export type TokenizerConfig = z.infer<typeof tokenizerConfig>;
