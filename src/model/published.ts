/** The `config.json` of published models by their name on the Hugging Face Hub, so that runs can be planned without network. */

/** https://huggingface.co/Qwen/Qwen3-0.6B/blob/main/config.json */
export const qwen3Small = {
  architectures: ['Qwen3ForCausalLM'],
  model_type: 'qwen3',
  attention_bias: false,
  bos_token_id: 151643,
  eos_token_id: 151645,
  head_dim: 128,
  hidden_act: 'silu',
  hidden_size: 1024,
  initializer_range: 0.02,
  intermediate_size: 3072,
  max_position_embeddings: 40960,
  num_attention_heads: 16,
  num_hidden_layers: 28,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-6,
  rope_theta: 1000000,
  tie_word_embeddings: true,
  torch_dtype: 'bfloat16',
  vocab_size: 151936,
};

const qwen3Large = {
  ...qwen3Small,
  hidden_size: 2560,
  intermediate_size: 9728,
  num_attention_heads: 32,
  num_hidden_layers: 36,
};

export const publishedConfigs: Record<string, Record<string, unknown>> = {
  'Qwen/Qwen3-0.6B': qwen3Small,
  'Qwen/Qwen3-1.7B': { ...qwen3Small, hidden_size: 2048, intermediate_size: 6144 },
  'Qwen/Qwen3-4B': qwen3Large,
  'youngzhong/SOD-0.6B': qwen3Small,
  'youngzhong/SOD-GRPO_teacher-4B': qwen3Large,
};
