#!/usr/bin/env python3
"""Writes the malformed model files: safetensors/ (one file per rule of the format that it breaks)
and hf/ (Hugging Face folders that must not be imported).

tests/models/test_bad_models.c knows what each is refused for. The output is committed.
"""
import json
import os
import struct

ROOT = os.path.dirname(os.path.abspath(__file__))


def tensor(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


GOOD = {"a": tensor([2, 3], 0, 24), "b": tensor([4], 24, 40)}
DATA = struct.pack("<10f", *range(10))


def write(path, content):
    path = os.path.join(ROOT, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


def pack(header, data=DATA, length=None):
    if isinstance(header, dict):
        header = json.dumps(header, separators=(",", ":"))
    if isinstance(header, str):
        header = header.encode()
    if length is None:
        length = len(header)
    return struct.pack("<Q", length) + header + data


def safetensors():
    """name -> content"""
    files = {
        # The length field.
        "empty": b"",
        "short_length": b"\x10\x00\x00",
        "length_only": struct.pack("<Q", 0),
        "length_past_end": pack(GOOD, length=4096),
        "length_over_limit": pack(GOOD, length=100_000_001),
        "length_near_2_63": pack(GOOD, length=(1 << 63) - 1),
        "length_near_2_64": pack(GOOD, length=(1 << 64) - 1),
        "other_format": b"PK\x03\x04" + bytes(60),
        # The text.
        "no_object": pack("[1,2]"),
        "leading_space": pack(" " + json.dumps(GOOD)),
        "cut_json": pack('{"a":{"dtype":"F32"'),
        "text_after": pack(json.dumps(GOOD) + "x"),
        "nul_padding": pack(json.dumps(GOOD).encode() + b"\x00\x00"),
        "two_objects": pack(json.dumps(GOOD) + "{}"),
        "bad_utf8": pack(b'{"\xff\xfe":{"dtype":"F32","shape":[10],"data_offsets":[0,40]}}'),
        "depth_33": pack('{"a":' + "[" * 33 + "]" * 33 + "}"),
        "duplicate_name": pack('{"a":{"dtype":"F32","shape":[5],"data_offsets":[0,20]},'
                               '"a":{"dtype":"F32","shape":[5],"data_offsets":[20,40]}}'),
        "duplicate_key": pack('{"a":{"dtype":"F32","shape":[10],"shape":[10],'
                              '"data_offsets":[0,40]}}'),
        # Names and metadata.
        "empty_name": pack({"": tensor([10], 0, 40)}),
        "long_name": pack({"n" * 5000: tensor([10], 0, 40)}),
        "nul_in_name": pack('{"a\\u0000b":{"dtype":"F32","shape":[10],"data_offsets":[0,40]}}'),
        "newline_in_name": pack({"a\nb": tensor([10], 0, 40)}),
        "metadata_number": pack({"__metadata__": {"step": 3}, "a": tensor([10], 0, 40)}),
        "metadata_list": pack({"__metadata__": ["pt"], "a": tensor([10], 0, 40)}),
        # One tensor's description.
        "entry_is_list": pack({"a": [1, 2]}),
        "no_dtype": pack({"a": {"shape": [10], "data_offsets": [0, 40]}}),
        "no_shape": pack({"a": {"dtype": "F32", "data_offsets": [0, 40]}}),
        "no_offsets": pack({"a": {"dtype": "F32", "shape": [10]}}),
        "extra_key": pack({"a": dict(tensor([10], 0, 40), stride=[1])}),
        "unknown_dtype": pack({"a": tensor([10], 0, 40, "F33")}),
        "object_dtype": pack({"a": tensor([10], 0, 40, "O")}),
        "shape_is_number": pack({"a": tensor(10, 0, 40)}),
        "negative_dim": pack({"a": tensor([-10], 0, 40)}),
        "fraction_dim": pack({"a": tensor([10.0], 0, 40)}),
        "text_dim": pack({"a": tensor(["10"], 0, 40)}),
        "leading_zero_dim": pack('{"a":{"dtype":"F32","shape":[010],"data_offsets":[0,40]}}'),
        "huge_exponent_dim": pack('{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,40]}}'),
        "dim_2_64": pack('{"a":{"dtype":"F32","shape":[18446744073709551616],'
                         '"data_offsets":[0,40]}}'),
        "nine_dims": pack({"a": tensor([1] * 8 + [10], 0, 40)}),
        "overflow_at_last_dim": pack({"a": tensor([1 << 31, 1 << 27, 4], 0, 40)}),
        "overflow_to_right_size": pack({"a": tensor([1 << 32, (1 << 32) + 10], 0, 40, "U8")}),
        "half_a_byte": pack({"a": tensor([3], 0, 1, "F4")}, b"\x00"),
        # Places.
        "one_offset": pack({"a": {"dtype": "F32", "shape": [10], "data_offsets": [40]}}),
        "three_offsets": pack({"a": {"dtype": "F32", "shape": [10], "data_offsets": [0, 20, 40]}}),
        "negative_offset": pack({"a": tensor([10], -40, 0)}),
        "offsets_swapped": pack({"a": tensor([10], 40, 0)}),
        "offset_past_end": pack({"a": tensor([11], 0, 44)}),
        "offset_near_2_63": pack({"a": tensor([10], (1 << 63) - 41, (1 << 63) - 1)}),
        "size_too_small": pack({"a": tensor([9], 0, 40)}),
        "size_too_large": pack({"a": tensor([10], 0, 36)}, DATA[:36]),
        "hole_at_start": pack({"a": tensor([9], 4, 40)}),
        "hole_between": pack({"a": tensor([4], 0, 16), "b": tensor([5], 20, 40)}),
        "overlap": pack({"a": tensor([6], 0, 24), "b": tensor([5], 20, 40)}),
        "same_place": pack({"a": tensor([10], 0, 40), "b": tensor([10], 0, 40)}),
        "empty_tensor_inside": pack({"a": tensor([10], 0, 40), "b": tensor([0], 20, 20)}),
        "data_short_by_one": pack(GOOD, DATA[:-1]),
        "data_long_by_one": pack(GOOD, DATA + b"\x00"),
        "no_tensor_but_data": pack({}),
    }
    for name, content in files.items():
        write(f"safetensors/{name}.safetensors", content)


CONFIG = {"model_type": "gpt2", "vocab_size": 5, "n_positions": 4, "n_embd": 2, "n_layer": 1,
          "n_head": 1}

SHAPES = {
    "wte.weight": [5, 2], "wpe.weight": [4, 2],
    "h.0.ln_1.weight": [2], "h.0.ln_1.bias": [2],
    "h.0.attn.c_attn.weight": [2, 6], "h.0.attn.c_attn.bias": [6],
    "h.0.attn.c_proj.weight": [2, 2], "h.0.attn.c_proj.bias": [2],
    "h.0.ln_2.weight": [2], "h.0.ln_2.bias": [2],
    "h.0.mlp.c_fc.weight": [2, 8], "h.0.mlp.c_fc.bias": [8],
    "h.0.mlp.c_proj.weight": [8, 2], "h.0.mlp.c_proj.bias": [2],
    "ln_f.weight": [2], "ln_f.bias": [2],
}


def count_of(shape):
    count = 1
    for size in shape:
        count *= size
    return count


def weights(shapes, values=None, dtypes=None):
    header, data = {}, b""
    for name, shape in shapes.items():
        numbers = (values or {}).get(name, [0.25] * count_of(shape))
        dtype = (dtypes or {}).get(name, "F32")
        raw = struct.pack(f"<{len(numbers)}{'d' if dtype == 'F64' else 'f'}", *numbers)
        header[name] = tensor(shape, len(data), len(data) + len(raw), dtype)
        data += raw
    return pack(header, data)


def folder(name, config, files):
    if isinstance(config, dict):
        config = json.dumps(config, indent=1)
    if config is not None:
        write(f"hf/{name}/config.json", config.encode())
    for file, content in files.items():
        write(f"hf/{name}/{file}", content if isinstance(content, bytes) else content.encode())


def config_folders():
    """Refused for their config alone; no weights are needed."""
    folder("no_model_type", {k: v for k, v in CONFIG.items() if k != "model_type"}, {})
    for name, key, value in (
            ("llama", "model_type", "llama"), ("model_type_number", "model_type", 2),
            ("no_embd", "n_embd", ...), ("embd_text", "n_embd", "768"), ("embd_zero", "n_embd", 0),
            ("embd_negative", "n_embd", -2), ("embd_fraction", "n_embd", 2.5),
            ("layers_2_31", "n_layer", 1 << 31), ("heads_do_not_divide", "n_head", 3),
            ("inner_text", "n_inner", "8"), ("dropout_one", "resid_pdrop", 1.0),
            ("dropout_negative", "attn_pdrop", -0.1),
            ("epsilon_text", "layer_norm_epsilon", "1e-5"),
            ("activation_tanh", "activation_function", "tanh"),
            ("activation_number", "activation_function", 1),
            ("unscaled_attention", "scale_attn_weights", False),
            ("layer_scaled_attention", "scale_attn_by_inverse_layer_idx", True),
            ("untied", "tie_word_embeddings", False),
            ("cross_attention", "add_cross_attention", True),
            ("rope", "rope_theta", 10000.0), ("quantized", "quantization_config", {"bits": 4}),
            ("kv_heads", "num_key_value_heads", 1)):
        config = dict(CONFIG)
        if value is ...:
            del config[key]
        else:
            config[key] = value
        folder(name, config, {})
    folder("no_config", None, {"model.safetensors": weights(SHAPES)})
    folder("config_cut", '{"model_type": "gpt2", ', {})
    folder("config_list", '["gpt2"]', {})
    folder("config_deep", '{"a": ' + "[" * 40 + "]" * 40 + "}", {})
    folder("config_duplicate", '{"model_type": "gpt2", "n_embd": 2, "n_embd": 4}', {})
    folder("config_huge_number", '{"model_type": "gpt2", "n_embd": 99999999999999999999}', {})


def weight_folders():
    def single(name, shapes, values=None, dtypes=None):
        folder(name, CONFIG, {"model.safetensors": weights(shapes, values, dtypes)})

    folder("no_weights", CONFIG, {})
    folder("pickle_only", CONFIG, {"pytorch_model.bin": b"\x80\x02."})
    single("missing_tensor", {k: v for k, v in SHAPES.items() if k != "h.0.ln_2.bias"})
    single("left_over_tensor", dict(SHAPES, **{"h.0.attn.c_atn.weight": [1]}))
    single("second_block", dict(SHAPES, **{"h.1.ln_1.weight": [2]}))
    single("wrong_shape", dict(SHAPES, **{"wpe.weight": [2, 4]}))
    single("not_conv1d", dict(SHAPES, **{"h.0.attn.c_attn.weight": [6, 2]}))
    single("double_precision", SHAPES, dtypes={"ln_f.bias": "F64"})
    single("nan_weight", SHAPES, {"wte.weight": [0.5] * 7 + [float("nan")] + [0.5] * 2})
    single("infinite_weight", SHAPES, {"h.0.ln_1.bias": [0.0, float("inf")]})
    single("head_differs", dict(SHAPES, **{"lm_head.weight": [5, 2]}),
           {"lm_head.weight": [0.5] * 10})
    single("head_shape", dict(SHAPES, **{"lm_head.weight": [2, 5]}))

    names = list(SHAPES)
    first = {name: SHAPES[name] for name in names[:8]}
    second = {name: SHAPES[name] for name in names[8:]}
    good_map = {name: "one.safetensors" if name in first else "two.safetensors" for name in names}

    def sharded(name, weight_map, files):
        index = {"metadata": {}, "weight_map": weight_map}
        folder(name, CONFIG, dict(files, **{"model.safetensors.index.json": json.dumps(index)}))

    both = {"one.safetensors": weights(first), "two.safetensors": weights(second)}
    sharded("index_slash", dict(good_map, **{"ln_f.bias": "sub/two.safetensors"}), both)
    sharded("index_dot_dot", dict(good_map, **{"ln_f.bias": "..two.safetensors"}), both)
    sharded("index_other_suffix", dict(good_map, **{"ln_f.bias": "two.bin"}), both)
    sharded("index_not_text", dict(good_map, **{"ln_f.bias": 2}), both)
    sharded("index_missing_file", dict(good_map, **{"ln_f.bias": "three.safetensors"}), both)
    sharded("index_wrong_file", dict(good_map, **{"ln_f.bias": "one.safetensors"}), both)
    sharded("index_extra_tensor", dict(good_map, ghost="one.safetensors"), both)
    sharded("index_unlisted_tensor", {k: v for k, v in good_map.items() if k != "ln_f.bias"}, both)
    sharded("tensor_in_both", good_map,
            dict(both, **{"two.safetensors": weights(dict(second, **{"wte.weight": [5, 2]}))}))
    sharded("index_empty_map", {}, both)
    folder("index_no_map", CONFIG, dict(both, **{"model.safetensors.index.json": "{}"}))
    folder("index_cut", CONFIG, dict(both, **{"model.safetensors.index.json": '{"weight_map": {'}))


safetensors()
config_folders()
weight_folders()
