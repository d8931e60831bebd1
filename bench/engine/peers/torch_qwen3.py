"""PyTorch on the same CPU or GPU, with the Qwen3 of the module that the argument names: plain_qwen3 or transformers_qwen3."""
import importlib
import sys

import torch
import torch.nn.functional as F
from answering import serve, timed

torch.manual_seed(0)
model = None
device = "cpu"


def load(request):
    global model, device
    torch.set_num_threads(request["threads"])
    device = request["device"]
    with torch.device(device):
        model = importlib.import_module(sys.argv[1]).create(request["config"]).to(getattr(torch, request["dtype"]))
    return {"version": torch.__version__}


def timed_whole(request, run):
    """As `timed`, until a GPU has done what it was told."""

    def whole():
        run()
        if device == "cuda":
            torch.cuda.synchronize()

    return timed(request, whole)


def train(request):
    """One update of sequences of these lengths, padded to the longest; the second half of each has a loss."""
    lengths = torch.tensor(request["lengths"])
    ids = torch.randint(0, model.c["vocabSize"], (len(lengths), int(lengths.max())), device=device)
    positions = torch.arange(ids.shape[1])
    wanted = ((positions >= lengths[:, None] // 2) & (positions < lengths[:, None])).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, foreach=True)

    def step():
        hidden = model.hidden(ids)[:, :-1][wanted[:, 1:]]
        loss = F.cross_entropy(model.logits(hidden).float(), ids[wanted])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return timed_whole(request, step)


@torch.inference_mode()
def score(request):
    """Log-probabilities of the second half of sequences of one length."""
    length = request["lengths"][0]
    ids = torch.randint(0, model.c["vocabSize"], (len(request["lengths"]), length), device=device)

    def run():
        logits = model.logits(model.hidden(ids)[:, length // 2 - 1 : -1]).float()
        logits.log_softmax(-1).gather(-1, ids[:, length // 2 :, None]).cpu()

    return timed_whole(request, run)


@torch.inference_mode()
def prefill(request):
    """The logits behind one new prompt."""
    ids = torch.randint(0, model.c["vocabSize"], (1, request["prompt"]), device=device)
    return timed_whole(request, lambda: model.logits(model.hidden(ids)[:, -1:]))


@torch.inference_mode()
def decode(request):
    """`steps` sampled tokens for each of `batch` sequences behind `context` tokens."""
    batch, length, steps = request["batch"], request["context"], request["steps"]
    with torch.device(device):
        context = model.context(batch, length, steps)

    def run():
        ids = torch.zeros(batch, 1, dtype=torch.long, device=device)
        for step in range(steps):
            probabilities = model.following(ids, length + step, context).float().softmax(-1)
            ids = torch.multinomial(probabilities, 1)
        model.forget(context, length)

    return timed_whole(request, run)


serve({"load": load, "train": train, "score": score, "prefill": prefill, "decode": decode})
