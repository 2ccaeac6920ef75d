"""A backbone's card shows every stage and every known fact, and leaves out what is not known."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from graft.report.zoo_table import print_backbone

FOUND = {
    "name": "hf:mine",
    "width": 8,
    "stages": [
        {
            "name": "stem",
            "modules": ["conv"],
            "shape": [8, 9, 9],
            "parameters": 1000,
            "norms": {"LayerNorm": 1},
        },
        {"name": "stage1", "modules": ["a", "b"], "shape": [17, 8], "parameters": 5, "norms": {}},
    ],
    "parameters": 1005,
    "gflops": 0.5,
    "norms": {"LayerNorm": 1},
    "grad_cam": {"path": "b.norm", "shape": [17, 8]},
    "preprocess": {
        "image_size": [224, 224],
        "resize": 256,
        "crop": "center",
        "interpolation": "bicubic",
        "mean": [0.5],
        "std": [0.25],
        "channels": 1,
    },
    "provenance": {"weights": None, "source": None, "licence": None, "top1": None},
    "facts": None,
}


def shown(found, width=80) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    print_backbone(found, console)
    return console.file.getvalue()


def test_every_stage_stands_there_with_what_it_hands_on():
    lines = shown(FOUND).splitlines()
    [stem] = [line for line in lines if line.startswith("stem")]
    assert stem.split() == ["stem", "conv", "8", "×", "9", "×", "9", "1,000", "1", "LayerNorm"]
    [stage] = [line for line in lines if line.startswith("stage1")]
    assert stage.split() == ["stage1", "a", "17", "×", "8", "5", "–"]


def test_what_is_not_known_is_left_out():
    text = shown(FOUND)
    assert not any(word in text for word in ("top-1", "licence", "source", "None", "published"))


def test_what_is_known_is_shown():
    facts = {"parameters": 2005, "gflops": 0.6, "top1": 71.25, "suits": ["edge"], "file_mb": 9.0}
    provenance = {"weights": "V1", "source": "https://x/y.pth", "licence": "MIT", "top1": 71.25}
    text = shown({**FOUND, "facts": facts, "provenance": provenance})
    for words in ("2,005 parameters", "71.25 %", "edge", "MIT", "https://x/y.pth, 9 MB", "V1"):
        assert words in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "shorter side to 256, center crop to 224 × 224, bicubic"),
        ({"resize": None}, "center crop to 224 × 224, bicubic"),
        ({"resize": None, "crop": "squash"}, "squashed to 224 × 224, bicubic"),
        ({"crop": "squash"}, "squashed to 256, center crop to 224 × 224, bicubic"),
    ],
)
def test_preprocessing_is_said_as_it_is_done(changes, words):
    text = shown({**FOUND, "preprocess": {**FOUND["preprocess"], **changes}})
    assert f"preprocessing {words}" in " ".join(text.split())


def test_the_card_fits_80_columns_with_long_paths():
    stage = {**FOUND["stages"][0], "modules": ["a.very.long.path." * 5]}
    assert max(map(len, shown({**FOUND, "stages": [stage]}).splitlines())) <= 80
