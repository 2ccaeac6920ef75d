"""From an image processor of transformers to a `Preprocess`."""

from __future__ import annotations

from pathlib import Path

import pytest
import transformers as hf

from graft.backbones.providers.hf_processor import read_processor
from graft.data.preprocess import Preprocess
from graft.errors import BackboneError

HALF = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
SQUARE = {"height": 64, "width": 64}
USUAL = {
    "squash": (hf.ViTImageProcessor(size=SQUARE), Preprocess(64, crop="squash", **HALF)),
    "crop": (
        hf.MobileNetV2ImageProcessor(size={"shortest_edge": 72}, crop_size=SQUARE),
        Preprocess(64, resize=72, **HALF),
    ),
    "share": (
        hf.ConvNextImageProcessor(size={"shortest_edge": 64}, crop_pct=0.875),
        Preprocess(64, resize=73, interpolation="bicubic"),
    ),
    "squash, then crop": (
        hf.DeiTImageProcessor(size={"height": 73, "width": 73}, crop_size=SQUARE),
        Preprocess(64, resize=73, crop="squash", interpolation="bicubic"),
    ),
    "scale": (
        hf.ViTImageProcessor(size=SQUARE, rescale_factor=1 / 127.5, do_normalize=False),
        Preprocess(64, crop="squash", mean=(0, 0, 0), std=(0.5, 0.5, 0.5)),
    ),
}


@pytest.mark.parametrize("kind", USUAL)
def test_a_processor_becomes_the_preprocess_that_does_the_same(kind: str, tmp_path: Path) -> None:
    processor, expected = USUAL[kind]
    processor.save_pretrained(tmp_path)

    found = read_processor(tmp_path / "preprocessor_config.json")

    assert (found.image_size, found.resize, found.crop) == (
        expected.image_size,
        expected.resize,
        expected.crop,
    )
    assert found.std == pytest.approx(
        tuple(processor.image_std) if kind != "scale" else expected.std
    )


@pytest.mark.parametrize(
    "processor",
    [
        hf.MobileViTImageProcessor(size={"shortest_edge": 72}, crop_size=SQUARE),
        hf.ViTImageProcessor(size=SQUARE, do_resize=False),
    ],
    ids=["flips channels", "does not resize"],
)
def test_what_cannot_be_repeated_is_refused(processor: object, tmp_path: Path) -> None:
    processor.save_pretrained(tmp_path)

    with pytest.raises(BackboneError, match="cannot be"):
        read_processor(tmp_path / "preprocessor_config.json")
