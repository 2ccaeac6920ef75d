"""Tiny image classifiers in Hugging Face format, by type."""

from __future__ import annotations

from pathlib import Path

import transformers as hf

SQUARE = {"height": 64, "width": 64}
TRANSFORMER = {
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "image_size": 64,
    "patch_size": 16,
}
PYRAMID = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1]}
CONFIGS = {
    "beit": lambda: hf.BeitConfig(**TRANSFORMER),
    "convnext": lambda: hf.ConvNextConfig(**PYRAMID),
    "convnextv2": lambda: hf.ConvNextV2Config(**PYRAMID),
    "deit": lambda: hf.DeiTConfig(**TRANSFORMER),
    "dinov2": lambda: hf.Dinov2Config(**TRANSFORMER),
    "efficientnet": lambda: hf.EfficientNetConfig(
        width_coefficient=0.25, depth_coefficient=0.5, hidden_dim=320, image_size=64
    ),
    "mobilenet_v2": lambda: hf.MobileNetV2Config(depth_multiplier=0.35),
    "resnet": lambda: hf.ResNetConfig(embedding_size=8, layer_type="basic", **PYRAMID),
    "swin": lambda: hf.SwinConfig(
        embed_dim=16, depths=[1, 1, 2, 1], num_heads=[1, 2, 2, 2], window_size=2, image_size=64
    ),
    "vit": lambda: hf.ViTConfig(**TRANSFORMER),
}


def write(folder: Path, kind: str, *, labels: int = 5) -> Path:
    """Save a tiny model with random weights, and its image processor, as their owners would."""
    config = CONFIGS[kind]()
    config.num_labels = labels
    classes = {
        "beit": hf.BeitForImageClassification,
        "deit": hf.DeiTForImageClassification,
    }
    make = classes.get(kind) or hf.AutoModelForImageClassification.from_config
    make(config).save_pretrained(folder)
    hf.ViTImageProcessor(size=SQUARE).save_pretrained(folder)
    return folder


def describe(folder: Path, kind: str) -> Path:
    """Save the configuration of a type without weights: the tiny one, or transformers' default."""
    config = CONFIGS[kind]() if kind in CONFIGS else hf.CONFIG_MAPPING[kind]()
    config.num_labels = 5
    config.save_pretrained(folder)
    side = getattr(config, "image_size", None)
    side = 64 if kind in CONFIGS else side if isinstance(side, int) else 224
    hf.ViTImageProcessor(size={"height": side, "width": side}).save_pretrained(folder)
    return folder
