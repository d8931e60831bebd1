/**
 * What differs between the families of decoders that are computed here. All else they share: RMS norms before each sublayer,
 * grouped-query attention with rotary positions, a SwiGLU, no biases but those of attention.
 */
export interface Family {
  /** As people call it. */
  title: string;
  /** `model_type` of `config.json`. */
  modelType: string;
  /** Each query and key head goes through an RMS norm with a gain of its own. */
  headNorms: boolean;
  /** Queries, keys and values always have biases; or they and what attention gives have, where `attention_bias` is true. */
  biases: 'qkv' | 'optional';
  /** `head_dim` where `config.json` has none; undefined: hidden_size / num_attention_heads. */
  headDim?: number;
  /** `max_position_embeddings` where `config.json` has none. */
  maxPositions: number;
  gguf: {
    /** How llama.cpp knows it. */
    architecture: string;
    /** The rows of q and k stand so that what is rotated together is neighbours. */
    rotatesNeighbours: boolean;
    /** A tensor may say how the frequencies of positions are divided, as in Llama 3. */
    frequencyFactors: boolean;
    /** It reads biases that are optional. */
    optionalBiases: boolean;
  };
}

/** By the name that `architectures` in `config.json` has for it; what is left out there is as in transformers. */
export const families: Record<string, Family> = {
  Qwen3ForCausalLM: {
    title: 'Qwen3',
    modelType: 'qwen3',
    headNorms: true,
    biases: 'optional',
    headDim: 128,
    maxPositions: 32_768,
    gguf: { architecture: 'qwen3', rotatesNeighbours: false, frequencyFactors: false, optionalBiases: false },
  },
  Qwen2ForCausalLM: {
    title: 'Qwen2',
    modelType: 'qwen2',
    headNorms: false,
    biases: 'qkv',
    maxPositions: 32_768,
    gguf: { architecture: 'qwen2', rotatesNeighbours: false, frequencyFactors: false, optionalBiases: false },
  },
  LlamaForCausalLM: {
    title: 'Llama',
    modelType: 'llama',
    headNorms: false,
    biases: 'optional',
    maxPositions: 2048,
    gguf: { architecture: 'llama', rotatesNeighbours: true, frequencyFactors: true, optionalBiases: true },
  },
};
