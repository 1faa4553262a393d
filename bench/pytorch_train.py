#!/usr/bin/env python3
"""pytorch_train.py — PyTorch's side: seconds per step of one of the models of models.h, eager mode.

Same layers, batch, optimizer (AdamW, weight decay) and clipping. PyTorch may choose: the script
knows several ways to run a step (whole batch or the same micro-batches; plain, foreach or fused
AdamW; for images the memory format) and --choose prints the fastest, which the comparison then
uses. Data lies ready in memory and no step waits for a loss to be printed.
"""

import argparse
import itertools
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn

CLASSES = 10


def make_mlp():
    layers, width = [nn.Flatten()], 784
    for _ in range(12):
        layers += [nn.Linear(width, 1024), nn.GELU()]
        width = 1024
    return nn.Sequential(*layers, nn.Linear(width, CLASSES))


def make_cnn():
    layers, channels = [], 1
    for width in (32, 64, 128):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        channels = width
    layers.append(nn.Flatten())
    width = 128 * 3 * 3
    for _ in range(10):
        layers += [nn.Linear(width, 640), nn.ReLU()]
        width = 640
    return nn.Sequential(*layers, nn.Linear(width, CLASSES))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.c_attn = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)
        self.c_fc = nn.Linear(width, 4 * width)
        self.mlp_c_proj = nn.Linear(4 * width, width)
        self.heads = heads

    def forward(self, x):
        batch, length, width = x.shape
        qkv = self.c_attn(self.ln_1(x)).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.c_proj(y.transpose(1, 2).reshape(batch, length, width))
        return x + self.mlp_c_proj(F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh"))


class GPT2(nn.Module):
    def __init__(self, vocabulary=4096, positions=256, width=384, layers=8, heads=6):
        super().__init__()
        self.wte = nn.Embedding(vocabulary, width)
        self.wpe = nn.Embedding(positions, width)
        self.h = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)
        nn.init.normal_(self.wte.weight, std=0.02)
        nn.init.normal_(self.wpe.weight, std=0.02)

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe.weight[: tokens.shape[1]]
        for block in self.h:
            x = block(x)
        return F.linear(self.ln_f(x), self.wte.weight)


# Batch, micro-batch, model, one batch of data.
MODELS = {
    "mlp": (512, 128, make_mlp, lambda: (torch.rand(512, 1, 28, 28), torch.arange(512) % CLASSES)),
    "cnn": (512, 16, make_cnn, lambda: (torch.rand(512, 1, 28, 28), torch.arange(512) % CLASSES)),
    "gpt": (8, 2, GPT2, lambda: (torch.randint(4096, (8, 256)), torch.randint(4096, (8, 256)))),
}


class Trainer:
    def __init__(self, name, variant):
        whole, update, layout = variant.split(",")
        batch, micro_batch, make, data = MODELS[name]
        torch.manual_seed(1)
        self.model = make()
        self.x, self.y = data()
        if layout == "channels_last":
            self.model = self.model.to(memory_format=torch.channels_last)
            self.x = self.x.contiguous(memory_format=torch.channels_last)
        self.size = batch if whole == "whole_batch" else micro_batch
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=1e-4, weight_decay=0.01,
            foreach=update == "foreach", fused=update == "fused")

    def step(self):
        self.optimizer.zero_grad()
        share = self.size / len(self.x)
        for first in range(0, len(self.x), self.size):
            logits = self.model(self.x[first:first + self.size])
            target = self.y[first:first + self.size]
            loss = F.cross_entropy(logits.flatten(0, -2), target.flatten())
            (loss * share).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()


def seconds_per_step(name, variant, steps, warmup):
    trainer = Trainer(name, variant)
    for _ in range(warmup):
        trainer.step()
    times = []
    for _ in range(steps):
        begin = time.perf_counter()
        trainer.step()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def variants(name):
    layouts = ["contiguous", "channels_last"] if name == "cnn" else ["contiguous"]
    for parts in itertools.product(["whole_batch", "micro_batches"], ["plain", "foreach", "fused"],
                                   layouts):
        yield ",".join(parts)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=MODELS, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--choose", action="store_true", help="print the fastest variant")
    parser.add_argument("--variant")
    parser.add_argument("--version", action="version", version=torch.__version__)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.choose:
        times = {v: seconds_per_step(arguments.model, v, 3, 1) for v in variants(arguments.model)}
        print(min(times, key=times.get))
    else:
        print(f"{seconds_per_step(arguments.model, arguments.variant, arguments.steps, 2):.6f}")


if __name__ == "__main__":
    main()
