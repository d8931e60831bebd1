"""Logits that PEFT computes: reads {base, adapter, made, sequences}, makes an adapter of its own in `made`, prints [[logits of adapter], [of made]]."""

import json
import sys

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

wanted = json.load(sys.stdin)
torch.manual_seed(1)


def base():
    return AutoModelForCausalLM.from_pretrained(wanted["base"], dtype=torch.float32)


def logits(model):
    with torch.no_grad():
        return [model(torch.tensor([tokens])).logits[0].flatten().tolist() for tokens in wanted["sequences"]]


theirs = get_peft_model(
    base(),
    LoraConfig(
        task_type="CAUSAL_LM",
        r=4,
        lora_alpha=6,
        target_modules=["q_proj", "v_proj", "o_proj", "up_proj", "down_proj"],
        rank_pattern={"v_proj": 2},
        init_lora_weights=False,
    ),
).eval()
theirs.save_pretrained(wanted["made"])
ours = PeftModel.from_pretrained(base(), wanted["adapter"]).eval()
json.dump([logits(ours), logits(theirs)], sys.stdout)
