"""Qwen3 in plain PyTorch, eager: what a Python user would run on the same CPU. Random weights, for time is all that is asked.

Reads one JSON request a line from standard input, prints one JSON answer a line: {"seconds": [...]} for each repetition.
"""
import json
import sys
import time

import torch
import torch.nn.functional as F

torch.manual_seed(0)


class RmsNorm(torch.nn.Module):
    def __init__(self, size, eps):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x):
        y = x.float()
        y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + self.eps)
        return self.weight * y.to(x.dtype)


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


class Layer(torch.nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads, self.kv_heads, self.d = c["heads"], c["kvHeads"], c["headDim"]
        linear = lambda i, o: torch.nn.Linear(i, o, bias=False)
        self.norm1 = RmsNorm(c["hiddenSize"], c["rmsNormEps"])
        self.norm2 = RmsNorm(c["hiddenSize"], c["rmsNormEps"])
        self.q = linear(c["hiddenSize"], self.heads * self.d)
        self.k = linear(c["hiddenSize"], self.kv_heads * self.d)
        self.v = linear(c["hiddenSize"], self.kv_heads * self.d)
        self.o = linear(self.heads * self.d, c["hiddenSize"])
        self.q_norm = RmsNorm(self.d, c["rmsNormEps"])
        self.k_norm = RmsNorm(self.d, c["rmsNormEps"])
        self.gate = linear(c["hiddenSize"], c["intermediateSize"])
        self.up = linear(c["hiddenSize"], c["intermediateSize"])
        self.down = linear(c["intermediateSize"], c["hiddenSize"])

    def forward(self, x, cos, sin, mask, cache=None):
        b, t, _ = x.shape
        h = self.norm1(x)
        q = self.q_norm(self.q(h).view(b, t, self.heads, self.d)).transpose(1, 2)
        k = self.k_norm(self.k(h).view(b, t, self.kv_heads, self.d)).transpose(1, 2)
        v = self.v(h).view(b, t, self.kv_heads, self.d).transpose(1, 2)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if cache is not None:
            keys, values, at = cache
            keys[:, :, at : at + t] = k
            values[:, :, at : at + t] = v
            k, v = keys[:, :, : at + t], values[:, :, : at + t]
        group = self.heads // self.kv_heads
        q = q.reshape(b, self.kv_heads, group * t, self.d)  # the heads of a group share their keys: no copies
        scores = (q @ k.transpose(2, 3)).view(b, self.kv_heads, group, t, -1) * self.d**-0.5
        if mask is not None:
            scores = scores + mask
        weights = scores.softmax(-1, dtype=torch.float32).to(x.dtype).view(b, self.kv_heads, group * t, -1)
        out = (weights @ v).view(b, self.heads, t, self.d).transpose(1, 2).reshape(b, t, -1)
        x = x + self.o(out)
        h = self.norm2(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Qwen3(torch.nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.embedding = torch.nn.Embedding(c["vocabSize"], c["hiddenSize"])
        self.layers = torch.nn.ModuleList(Layer(c) for _ in range(c["layers"]))
        self.norm = RmsNorm(c["hiddenSize"], c["rmsNormEps"])
        frequencies = c["ropeTheta"] ** (-torch.arange(0, c["headDim"], 2).float() / c["headDim"])
        angles = torch.arange(16384).float()[:, None] * frequencies
        self.cos = torch.cat((angles, angles), -1).cos()
        self.sin = torch.cat((angles, angles), -1).sin()
        for p in self.parameters():
            if p.dim() > 1:
                torch.nn.init.normal_(p, std=0.02)

    def forward(self, ids, first=0, caches=None):
        x = self.embedding(ids)
        t = ids.shape[1]
        cos, sin = (table[first : first + t].to(x.dtype) for table in (self.cos, self.sin))
        mask = torch.full((t, t), float("-inf"), dtype=x.dtype).triu(1) if t > 1 else None
        for i, layer in enumerate(self.layers):
            x = layer(x, cos, sin, mask, (*caches[i], first) if caches else None)
        return self.norm(x)

    def logits(self, x):
        return x @ self.embedding.weight.T


def timed(repeats, run, warmups=1):
    seconds = []
    for i in range(warmups + repeats):
        start = time.perf_counter()
        run()
        if i >= warmups:
            seconds.append(time.perf_counter() - start)
    return {"seconds": seconds}


def train(model, request):
    """One update of sequences of these lengths, padded to the longest; the second half of each has a loss."""
    lengths = torch.tensor(request["lengths"])
    ids = torch.randint(0, model.c["vocabSize"], (len(lengths), int(lengths.max())))
    positions = torch.arange(ids.shape[1])
    wanted = (positions >= lengths[:, None] // 2) & (positions < lengths[:, None])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, foreach=True)

    def step():
        hidden = model(ids)[:, :-1][wanted[:, 1:]]
        loss = F.cross_entropy(model.logits(hidden).float(), ids[wanted])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return timed(request["repeats"], step)


@torch.inference_mode()
def decode(model, request):
    """`steps` greedy tokens for each of `batch` sequences behind `context` tokens."""
    batch, context, steps, c = request["batch"], request["context"], request["steps"], model.c
    dtype = model.embedding.weight.dtype
    shape = (batch, c["kvHeads"], context + steps, c["headDim"])
    caches = [(torch.randn(shape).to(dtype), torch.randn(shape).to(dtype)) for _ in range(c["layers"])]

    def run():
        ids = torch.zeros(batch, 1, dtype=torch.long)
        for step in range(steps):
            logits = model.logits(model(ids, context + step, caches)[:, -1]).float()
            probabilities = logits.softmax(-1)
            ids = torch.multinomial(probabilities, 1)

    return timed(request["repeats"], run)


def main():
    model = None
    for line in sys.stdin:
        request = json.loads(line)
        if request["op"] == "load":
            torch.set_num_threads(request["threads"])
            model = Qwen3(request["config"]).to(getattr(torch, request["dtype"]))
            answer = {"parameters": sum(p.numel() for p in model.parameters()), "version": torch.__version__}
        else:
            answer = {"train": train, "decode": decode}[request["op"]](model, request)
        print(json.dumps(answer), flush=True)


main()
