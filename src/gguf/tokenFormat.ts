/** How GGUF tells of a tokenizer. */

/** Kinds of tokens, as llama.cpp numbers them. */
export const tokenKinds = { normal: 1, control: 3, userDefined: 4, unused: 5 };

/** How Qwen2 and Qwen3 split text before merging: llama.cpp knows it by the name qwen2. */
export const qwenSplit =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
