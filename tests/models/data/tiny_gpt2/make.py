#!/usr/bin/env python3
"""Writes the small GPT-2 folder that the import is tested with: config.json and model.safetensors.

Tensors lie in sorted order of their names, as Hugging Face's writer leaves them. Element i of
tensor t of that order is ((31 t + 7 i) mod 101 - 50) / 256, which binary32 holds exactly.
Run it in this folder; the output is committed.
"""
import json
import os
import struct

CONFIG = {
    "activation_function": "gelu_new",
    "architectures": ["GPT2LMHeadModel"],
    "attn_pdrop": 0.1,
    "bos_token_id": 31,
    "embd_pdrop": 0.0,
    "eos_token_id": 31,
    "initializer_range": 0.02,
    "layer_norm_epsilon": 1e-05,
    "model_type": "gpt2",
    "n_ctx": 16,
    "n_embd": 8,
    "n_head": 2,
    "n_inner": None,
    "n_layer": 2,
    "n_positions": 16,
    "reorder_and_upcast_attn": False,
    "resid_pdrop": 0.2,
    "scale_attn_by_inverse_layer_idx": False,
    "scale_attn_weights": True,
    "summary_type": "cls_index",
    "torch_dtype": "float32",
    "transformers_version": "4.40.0",
    "use_cache": True,
    "vocab_size": 32,
}


def shapes():
    width, positions, vocabulary = 8, 16, 32
    result = {
        "wte.weight": [vocabulary, width],
        "wpe.weight": [positions, width],
        "ln_f.weight": [width],
        "ln_f.bias": [width],
    }
    for layer in range(2):
        block = f"h.{layer}."
        for norm in ("ln_1", "ln_2"):
            result[f"{block}{norm}.weight"] = [width]
            result[f"{block}{norm}.bias"] = [width]
        for name, inputs, outputs in (("attn.c_attn", width, 3 * width),
                                      ("attn.c_proj", width, width),
                                      ("mlp.c_fc", width, 4 * width),
                                      ("mlp.c_proj", 4 * width, width)):
            result[f"{block}{name}.weight"] = [inputs, outputs]
            result[f"{block}{name}.bias"] = [outputs]
    return result


def element(tensor, index):
    return ((31 * tensor + 7 * index) % 101 - 50) / 256


def main():
    header = {"__metadata__": {"format": "pt"}}
    data = b""
    for tensor, (name, shape) in enumerate(sorted(shapes().items())):
        count = 1
        for size in shape:
            count *= size
        raw = struct.pack(f"<{count}f", *(element(tensor, i) for i in range(count)))
        header[name] = {"dtype": "F32", "shape": shape,
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    folder = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(folder, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump(CONFIG, file, indent=2)
        file.write("\n")


main()
