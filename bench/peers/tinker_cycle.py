"""Trains a model a little through the official SDK of Tinker, samples from it, saves, loads and deletes it: prints what came of it as JSON."""

import json
import sys

import tinker
from tinker import types

asked = json.load(sys.stdin)
client = tinker.ServiceClient(base_url=asked["url"], api_key="tml-none")
trainer = client.create_lora_training_client(base_model=asked["model"], rank=8)


def datum(loss):
    tokens, length = asked["tokens"], len(asked["tokens"]) - 1
    inputs = {"target_tokens": types.TensorData(data=tokens[1:], dtype="int64", shape=[length])}
    given = {"weights": [1.0] * length}
    if loss != "cross_entropy":
        given = {"logprobs": asked["logprobs"], "advantages": [0.5] * length}
    for name, values in given.items():
        inputs[name] = types.TensorData(data=values, dtype="float32", shape=[length])
    return types.Datum(model_input=types.ModelInput.from_ints(tokens[:-1]), loss_fn_inputs=inputs)


losses = {}
for loss in ["cross_entropy", "importance_sampling", "ppo"]:
    passed = trainer.forward_backward([datum(loss)], loss)
    stepped = trainer.optim_step(types.AdamParams(learning_rate=1e-3))
    losses[loss] = {"metrics": dict(passed.result().metrics), "step": dict(stepped.result().metrics or {})}
forward = trainer.forward([datum("cross_entropy")], "cross_entropy").result()

prompt = types.ModelInput.from_ints(asked["tokens"][:4])
params = types.SamplingParams(max_tokens=8, seed=5, temperature=1.0)


def sampled(sampler):
    response = sampler.sample(prompt=prompt, num_samples=2, sampling_params=params).result()
    return [list(sequence.tokens) for sequence in response.sequences]


sampler = trainer.save_weights_and_get_sampling_client(name="kept")
state = trainer.save_state("state").result().path
again = client.create_training_client_from_state(state)
sampled_again = sampled(again.save_weights_and_get_sampling_client(name="kept"))

rest = client.create_rest_client()


def listed():
    return [checkpoint.tinker_path for checkpoint in rest.list_checkpoints(state.split("/")[2]).result().checkpoints]


saved = listed()
rest.delete_checkpoint_from_tinker_path(state).result()
print(
    json.dumps(
        {
            "version": tinker.__version__ if hasattr(tinker, "__version__") else "",
            "losses": losses,
            "forward": list(forward.loss_fn_outputs[0]["logprobs"].data),
            "scores": sampler.compute_logprobs(types.ModelInput.from_ints(asked["tokens"])).result(),
            "sampled": sampled(sampler),
            "state": state,
            "saved": saved,
            "left": listed(),
            "sampledAgain": sampled_again,
        }
    )
)
