"""Qwen3 in plain PyTorch, eager, for a PyTorch that is too old for transformers. Random weights."""
import torch
import torch.nn.functional as F


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

    def hidden(self, ids):
        return self(ids)

    def logits(self, x):
        return x @ self.embedding.weight.T

    def context(self, batch, length, steps):
        """Keys and values of `length` tokens in each layer, with room for `steps` more."""
        c, dtype = self.c, self.embedding.weight.dtype
        one = torch.randn(1, c["kvHeads"], length + steps, c["headDim"], dtype=dtype)
        return [(one.repeat(batch, 1, 1, 1), one.repeat(batch, 1, 1, 1)) for _ in range(c["layers"])]

    def following(self, ids, at, context):
        """Logits behind one more token of each sequence, which stands at `at`."""
        return self.logits(self(ids, at, context)[:, -1])

    def forget(self, context, length):
        """The context as it was when it had `length` tokens: what is behind them will be written over."""


def create(config):
    return Qwen3(config)
