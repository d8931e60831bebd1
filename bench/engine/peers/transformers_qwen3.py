"""transformers' own Qwen3 with PyTorch's scaled dot product attention, eager: what a Python user picks today. Random weights."""
import torch
from transformers import DynamicCache, Qwen3Config, Qwen3ForCausalLM


class Qwen3:
    def __init__(self, c):
        self.c = c
        self.model = Qwen3ForCausalLM(
            Qwen3Config(
                vocab_size=c["vocabSize"],
                hidden_size=c["hiddenSize"],
                intermediate_size=c["intermediateSize"],
                num_hidden_layers=c["layers"],
                num_attention_heads=c["heads"],
                num_key_value_heads=c["kvHeads"],
                head_dim=c["headDim"],
                rms_norm_eps=c["rmsNormEps"],
                rope_theta=c["ropeTheta"],
                max_position_embeddings=c["maxPositions"],
                tie_word_embeddings=c["tied"],
                attn_implementation="sdpa",
            )
        )

    def to(self, dtype):
        self.model.to(dtype)
        return self

    def parameters(self):
        return self.model.parameters()

    def hidden(self, ids):
        return self.model.model(ids, use_cache=False).last_hidden_state

    def logits(self, hidden):
        return self.model.lm_head(hidden)

    def context(self, batch, length, steps):
        """Keys and values of `length` tokens in each layer, as `generate` keeps them."""
        cache = DynamicCache(config=self.model.config)
        one = torch.randn(1, self.c["kvHeads"], length, self.c["headDim"], dtype=self.model.dtype)
        for layer in range(self.c["layers"]):
            cache.update(one.repeat(batch, 1, 1, 1), one.repeat(batch, 1, 1, 1), layer)
        return cache

    def following(self, ids, at, context):
        """Logits behind one more token of each sequence, which stands at `at`."""
        return self.model(ids, cache=context, use_cache=True, logits_to_keep=1).logits[:, -1]

    def forget(self, context, length):
        """The context as it was when it had `length` tokens."""
        context.crop(length - context.get_seq_length())


def create(config):
    return Qwen3(config)
