#!/usr/bin/env python3
"""make_cases.py — trains small models with PyTorch and writes down what it saw, for test_pytorch.c.

Only making the cases needs PyTorch; the test needs the files in cases/ alone. To make them anew:

    python3 -m venv venv && venv/bin/pip install torch numpy
    venv/bin/python tests/reference/make_cases.py

The files in the tree were made by torch 2.15.0 (CPU, one thread) and numpy 2.4.6 on Python 3.11.
Other versions give other random weights and data, and so other numbers, but equally good cases.

A case is a model, a data set, an optimizer and a schedule, trained for 20 steps in float32 and once
more in float64. Each step's loss (before the update) and gradient norm (before clipping) are
written. The float64 run shows how far rounding alone moves a case: it must stay far inside the
test's tolerance, or the script refuses to write the case.

What test_pytorch.c builds must be what is built here: the models are described at their classes.
"""

import json
import math
import os
import struct

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = os.path.join(HERE, "cases")
STEPS = 20
SEED = 20240501
# Rounding may move a case by a fifth of the test's tolerance.
ROUNDING = 4e-6


# ---- files ----


def write_idx(name, array):
    with open(os.path.join(CASES, name), "wb") as out:
        out.write(struct.pack(">I", 0x0800 | array.ndim))
        out.write(struct.pack(">" + "I" * array.ndim, *array.shape))
        out.write(array.astype(np.uint8).tobytes())


def write_tokens(name, tokens):
    header = np.zeros(256, dtype="<i4")
    header[:3] = (20240520, 1, len(tokens))
    with open(os.path.join(CASES, name), "wb") as out:
        out.write(header.tobytes())
        out.write(tokens.astype("<u2").tobytes())


def write_safetensors(path, tensors):
    header, offset = {}, 0
    for name, tensor in tensors.items():
        size = 4 * tensor.numel()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape),
                        "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)))
        out.write(text)
        for tensor in tensors.values():
            out.write(tensor.detach().to(torch.float32).contiguous().numpy().tobytes())


# ---- data ----


def make_images(rng, shape, count):
    """Noise, and a brighter stripe that tells the label."""
    images = rng.integers(0, 120, size=(count, *shape), dtype=np.int64)
    labels = rng.integers(0, 10, size=count)
    flat = images.reshape(count, -1)
    for i, label in enumerate(labels):
        flat[i, label::10] += 110
    return images.astype(np.uint8), labels.astype(np.uint8)


def make_tokens(rng, vocabulary, count):
    """A sequence that mostly counts upwards in threes."""
    tokens = (np.arange(count) * 3) % vocabulary
    noise = rng.random(count) < 0.2
    tokens[noise] = rng.integers(0, vocabulary, size=int(noise.sum()))
    return tokens


class Images:
    """Items in file order, wrapping round; one label per item."""

    def __init__(self, images, labels):
        channels = images if images.ndim == 4 else images[:, None]
        self.x = torch.from_numpy(channels.astype(np.float32)) / 255.0
        self.y = torch.from_numpy(labels.astype(np.int64))
        self.items = len(labels)

    def batch(self, indices, dtype):
        return self.x[indices].to(dtype), self.y[indices]


class Tokens:
    """Sequence i is tokens [i s, i s + s]: s inputs, and s targets one further."""

    def __init__(self, tokens, seq_len):
        self.tokens = torch.from_numpy(tokens.astype(np.int64))
        self.seq_len = seq_len
        self.items = (len(tokens) - 1) // seq_len

    def batch(self, indices, dtype):
        del dtype
        rows = [self.tokens[i * self.seq_len:i * self.seq_len + self.seq_len + 1] for i in indices]
        stacked = torch.stack(rows)
        return stacked[:, :-1], stacked[:, 1:]


# ---- models ----


def make_mlp():
    """Every activation, a layer norm in the middle, a layer without bias."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(144, 40), nn.GELU(), nn.LayerNorm(40), nn.Linear(40, 32),
        nn.GELU(approximate="tanh"), nn.Dropout(0.0), nn.Linear(32, 24, bias=False), nn.SiLU(),
        nn.Linear(24, 20), nn.ReLU(), nn.Linear(20, 10))


def make_cnn():
    """Strides, paddings, overlapping windows, both poolings."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, stride=1, padding=1), nn.ReLU(), nn.MaxPool2d(3, stride=2),
        nn.Conv2d(6, 9, 2, stride=1, padding=0), nn.GELU(), nn.AvgPool2d(2, stride=1),
        nn.Conv2d(9, 8, 3, stride=2, padding=2, bias=False), nn.SiLU(), nn.Flatten(),
        nn.Dropout(0.0), nn.Linear(72, 31), nn.ReLU(), nn.Linear(31, 10))


class BasicBlock(nn.Module):
    def __init__(self, inputs, channels, stride, alpha):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride=stride, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.downsample = None
        if stride != 1 or inputs != channels:
            self.downsample = nn.Conv2d(inputs, channels, 1, stride=stride)
        self.alpha = alpha

    def forward(self, x):
        branch = self.conv2(F.relu(self.conv1(x)))
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.relu(shortcut + self.alpha * branch)


class ResNet(nn.Module):
    """Basic blocks without normalisation; a branch counts 1 / sqrt(number of blocks)."""

    def __init__(self, blocks, width):
        super().__init__()
        alpha = float(np.float32(1 / math.sqrt(sum(blocks))))
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        inputs = width
        for stage, count in enumerate(blocks):
            channels = width * 2 ** stage
            layers = []
            for block in range(count):
                stride = 2 if stage > 0 and block == 0 else 1
                layers.append(BasicBlock(inputs, channels, stride, alpha))
                inputs = channels
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
        self.stages = len(blocks)
        self.fc = nn.Linear(inputs, 10)

    def forward(self, x):
        x = F.relu(self.stem(x))
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
        return self.fc(x.mean(dim=(2, 3)))


class Conv1D(nn.Module):
    """A linear layer whose weight lies [in, out], as GPT-2's files have it."""

    def __init__(self, inputs, outputs, std):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs) * std)
        self.bias = nn.Parameter(torch.randn(outputs) * 0.02)

    def forward(self, x):
        return x @ self.weight + self.bias


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.c_attn = Conv1D(width, 3 * width, 0.3)
        self.c_proj = Conv1D(width, width, 0.2)
        self.heads = heads

    def forward(self, x):
        batch, length, width = x.shape
        split = self.c_attn(x).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) / math.sqrt(width // self.heads)
        future = torch.ones(length, length, dtype=torch.bool).triu(1)
        weights = torch.softmax(scores.masked_fill(future, -torch.inf), dim=-1)
        return self.c_proj((weights @ v).transpose(1, 2).reshape(batch, length, width))


class MLP(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.c_fc = Conv1D(width, 4 * width, 0.2)
        self.c_proj = Conv1D(4 * width, width, 0.1)

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, width, heads, eps):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, eps=eps)
        self.attn = Attention(width, heads)
        self.ln_2 = nn.LayerNorm(width, eps=eps)
        self.mlp = MLP(width)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT2(nn.Module):
    """GPT2LMHeadModel: learned positions, pre-norm blocks, gelu_new, head tied to wte. Weights
    start larger than the usual 0.02, so that attention is far from uniform."""

    def __init__(self, config):
        super().__init__()
        width, eps = config["n_embd"], config["layer_norm_epsilon"]
        self.wte = nn.Embedding(config["vocab_size"], width)
        self.wpe = nn.Embedding(config["n_positions"], width)
        self.h = nn.ModuleList(
            Block(width, config["n_head"], eps) for _ in range(config["n_layer"]))
        self.ln_f = nn.LayerNorm(width, eps=eps)
        nn.init.normal_(self.wte.weight, std=0.3)
        nn.init.normal_(self.wpe.weight, std=0.1)

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for block in self.h:
            x = block(x)
        return self.ln_f(x) @ self.wte.weight.T


def gpt2_config(**sizes):
    return {"model_type": "gpt2", "activation_function": "gelu_new", "attn_pdrop": 0.0,
            "embd_pdrop": 0.0, "resid_pdrop": 0.0, "initializer_range": 0.02,
            "layer_norm_epsilon": 1e-05, **sizes}


# ---- training ----

ADAMW = {"optimizer": "adamw", "lr": 3e-3, "beta1": 0.9, "beta2": 0.95, "eps": 1e-8,
         "weight_decay": 0.1, "grad_clip": 0.5}
SGD = {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.01}


def make_optimizer(model, case):
    decay = case.get("weight_decay", 0.0)
    spared = 0.0 if case.get("decay") == "matrices" else decay
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": spared},
    ]
    if case["optimizer"] == "adamw":
        return torch.optim.AdamW(groups, lr=case["lr"], eps=case["eps"],
                                 betas=(case["beta1"], case["beta2"]))
    return torch.optim.SGD(groups, lr=case["lr"], momentum=case["momentum"])


def learning_rate(case, step):
    """Linear warm-up, then half a cosine that ends at `final` with the last step."""
    warmup = case.get("warmup_steps", 0)
    if case.get("schedule", "constant") == "constant":
        return case["lr"]
    if step <= warmup:
        return case["lr"] * step / warmup
    first = warmup + 1
    at = (step - first) / (STEPS - first)
    final = case.get("final", 0.0)
    return case["lr"] * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * at)))


def batches(case, items):
    """Index lists of 20 steps: wrapping round, or, with epochs, ending each in a short batch."""
    size = case["batch"]
    if "epochs" in case:
        order = [list(range(first, min(first + size, items))) for _ in range(case["epochs"])
                 for first in range(0, items, size)]
        assert len(order) == STEPS
        return order
    return [[(step * size + i) % items for i in range(size)] for step in range(STEPS)]


def train(model, data, case, dtype):
    model = model.to(dtype)
    optimizer = make_optimizer(model, case)
    clip = case.get("grad_clip", 0.0)
    losses, norms = [], []
    for step, indices in enumerate(batches(case, data.items), 1):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(case, step)
        x, y = data.batch(indices, dtype)
        logits = model(x)
        loss = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), clip if clip > 0 else math.inf)
        optimizer.step()
        losses.append(loss.item())
        norms.append(norm.item())
    return losses, norms


def apart(a, b):
    return max(abs(x - y) / abs(y) for x, y in zip(a, b))


def make_case(name, files, model, data, case):
    """`model` makes the model with the weights that were written."""
    losses, norms = train(model(), data, case, torch.float32)
    exact_losses, exact_norms = train(model(), data, case, torch.float64)
    rounding = max(apart(losses, exact_losses), apart(norms, exact_norms))
    assert rounding < ROUNDING, f"{name}: float32 and float64 are {rounding:.1e} apart"
    assert sum(losses[-5:]) < sum(losses[:5]) - 0.1, f"{name}: it does not learn: {losses}"
    if case.get("grad_clip"):
        assert max(norms) > case["grad_clip"], f"{name}: nothing is clipped"
    with open(os.path.join(CASES, name + ".txt"), "w") as out:
        out.write(f"# 20 steps of PyTorch {torch.__version__}, made by make_cases.py. "
                  f"float32 and float64 are {rounding:.1e} apart.\n")
        for key, value in {**files, **case}.items():
            out.write(f"{key} {value}\n")
        out.write("# step, then loss and gradient norm in float32, then in float64\n")
        for step in range(STEPS):
            out.write(f"step {step + 1} {losses[step]:.9g} {norms[step]:.9g} "
                      f"{exact_losses[step]:.15g} {exact_norms[step]:.15g}\n")
    print(f"{name}: loss {losses[0]:.4f} -> {losses[-1]:.4f}, norms {min(norms):.3f} to "
          f"{max(norms):.3f}, rounding {rounding:.1e}")


def with_weights(make, state):
    def build():
        model = make()
        model.load_state_dict(state)
        return model
    return build


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    os.makedirs(CASES, exist_ok=True)

    grey = make_images(rng, (12, 12), 37)
    colour = make_images(rng, (3, 10, 10), 37)
    epoch = make_images(rng, (12, 12), 45)
    for name, (images, labels) in {"grey": grey, "colour": colour, "epoch": epoch}.items():
        write_idx(name + "-images.idx", images)
        write_idx(name + "-labels.idx", labels)
    small_tokens = make_tokens(rng, 97, 500)
    large_tokens = make_tokens(rng, 4099, 400)
    write_tokens("small.bin", small_tokens)
    write_tokens("large.bin", large_tokens)

    makers = {"mlp": make_mlp, "cnn": make_cnn, "resnet": lambda: ResNet([1, 2], 6)}
    models = {}
    for name, make in makers.items():
        state = make().state_dict()
        write_safetensors(os.path.join(CASES, name + ".safetensors"), state)
        models[name] = with_weights(make, state)
    for name, sizes in {
            "gpt2": {"vocab_size": 97, "n_positions": 16, "n_embd": 24, "n_layer": 2, "n_head": 3},
            "gpt2-large": {"vocab_size": 4099, "n_positions": 16, "n_embd": 8, "n_layer": 1,
                           "n_head": 2, "layer_norm_epsilon": 1e-3}}.items():
        config = gpt2_config(**sizes)
        folder = os.path.join(CASES, name)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "config.json"), "w") as out:
            json.dump(config, out, indent=2)
            out.write("\n")
        state = GPT2(config).state_dict()
        write_safetensors(os.path.join(folder, "model.safetensors"),
                          {"transformer." + key: value for key, value in state.items()})
        models[name] = with_weights(lambda config=config: GPT2(config), state)

    data = {"grey": Images(*grey), "colour": Images(*colour), "epoch": Images(*epoch),
            "small": Tokens(small_tokens, 12), "large": Tokens(large_tokens, 12)}
    batch = {"batch": 10, "micro_batch": 4}
    cosine = {"schedule": "cosine", "warmup_steps": 4, "final": 0.1}
    for name, model, source, case in [
            ("mlp-adamw", "mlp", "grey", {**batch, **ADAMW, **cosine, "lr": 1e-2}),
            ("mlp-sgd", "mlp", "epoch", {**batch, **SGD, "epochs": 4, "lr": 0.1}),
            ("cnn-adamw", "cnn", "grey",
             {**batch, **ADAMW, "decay": "matrices", "lr": 1e-2, "grad_clip": 0.2}),
            ("cnn-sgd", "cnn", "grey", {**batch, **SGD, "lr": 0.2}),
            ("resnet-adamw", "resnet", "colour", {**batch, **ADAMW, **cosine, "lr": 1e-2}),
            ("resnet-sgd", "resnet", "colour", {**batch, **SGD, "lr": 0.1}),
            ("gpt2-adamw", "gpt2", "small", {**batch, **ADAMW, **cosine, "decay": "matrices"}),
            ("gpt2-sgd", "gpt2", "small", {**batch, **SGD}),
            # An eps as large as the gradients: it matters where it is added.
            ("gpt2-large-adamw", "gpt2-large", "large",
             {**batch, **ADAMW, "eps": 1e-3, "lr": 1e-2, "grad_clip": 0.2}),
            ("gpt2-large-sgd", "gpt2-large", "large", {**batch, **SGD}),
    ]:
        make_case(name, {"model": model, "data": source}, models[model], data[source], case)


if __name__ == "__main__":
    main()
