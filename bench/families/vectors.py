"""Writes a tiny random model of each family, and what transformers computes with it, into folders of the one given as argument."""
import json
import os
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config, Qwen3Config

SHAPE = dict(
    hidden_size=24,
    intermediate_size=20,
    num_hidden_layers=2,
    num_attention_heads=3,
    num_key_value_heads=1,
    vocab_size=40,
    max_position_embeddings=64,
    eos_token_id=39,
    bos_token_id=38,
    torch_dtype="bfloat16",
)
FAMILIES = {
    "llama": LlamaConfig(**SHAPE, head_dim=8, tie_word_embeddings=False, rms_norm_eps=1e-5),
    "qwen2": Qwen2Config(**SHAPE, tie_word_embeddings=True),
    "qwen3": Qwen3Config(**SHAPE, head_dim=12, tie_word_embeddings=False),
}
THETA = 100.0
SCALINGS = {
    "default": {},
    "linear": dict(factor=3.0),
    "llama3": dict(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32),
    "yarn": dict(factor=4.0, original_max_position_embeddings=16, beta_fast=4.0, beta_slow=0.5),
}
LENGTHS = [30, 9, 17]


def rounded(tensor):
    return tensor.to(torch.bfloat16).to(torch.float32)


def random_model(config, scaling):
    """The same weights for every scaling, such as bfloat16 holds them; its predictions are far from uniform."""
    config.rope_parameters = {"rope_type": scaling, "rope_theta": THETA, **SCALINGS[scaling]}
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float32)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        mean = 1.0 if "norm" in name else 0.0
        parameter.data = rounded(mean + 0.25 * torch.randn(parameter.shape, generator=generator))
    model.tie_weights()
    return model.eval()


def log_probabilities(model, tokens):
    """Of each token but the first, and the logits they come from."""
    logits = model(torch.tensor([tokens])).logits[0]
    return torch.log_softmax(logits[:-1], -1).gather(1, torch.tensor(tokens[1:])[:, None])[:, 0], logits


def write(folder, config):
    model = random_model(config, "default")
    generator = torch.Generator().manual_seed(2)
    sequences = [torch.randint(SHAPE["vocab_size"], (n,), generator=generator).tolist() for n in LENGTHS]
    weights = [torch.randn(n - 1, generator=generator) for n in LENGTHS]
    tensors, logprobs, loss = {}, [], 0
    for i, (tokens, weight) in enumerate(zip(sequences, weights)):
        values, logits = log_probabilities(model, tokens)
        loss = loss - (weight * values).sum() / sum(n - 1 for n in LENGTHS)
        logprobs.append(values.tolist())
        tensors[f"default.{i}"] = logits.detach()
    loss.backward()
    for name, parameter in model.named_parameters():
        tensors[f"grad.{name}"] = parameter.grad
    greedy = sequences[1][:5]
    for _ in range(12):
        greedy.append(int(model(torch.tensor([greedy])).logits[0, -1].argmax()))
    for scaling in SCALINGS:
        if scaling != "default":
            tensors[f"{scaling}.0"] = log_probabilities(random_model(config, scaling), sequences[0])[1].detach()
    random_model(config, "default").to(torch.bfloat16).save_pretrained(folder)
    os.remove(os.path.join(folder, "generation_config.json"))
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, os.path.join(folder, "expected.safetensors"))
    expected = dict(
        sequences=sequences,
        weights=[weight.tolist() for weight in weights],
        logprobs=logprobs,
        loss=loss.item(),
        greedy=greedy,
        scalings={name: {"rope_type": name, "rope_theta": THETA, **values} for name, values in SCALINGS.items()},
    )
    with open(os.path.join(folder, "expected.json"), "w") as file:
        json.dump(expected, file)


for name, config in FAMILIES.items():
    write(os.path.join(sys.argv[1], f"{name}-tiny"), config)
