"""From an image processor of transformers to a `Preprocess`, proved on an image."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoImageProcessor

from graft.data.preprocess import Preprocess
from graft.errors import BackboneError, DataError
from graft.model_folder import LARGEST_SIDE
from graft.structured import parse_json, read_text, shown

INTERPOLATIONS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}  # as Pillow counts
TOLERANCE = 1.0 / 255  # mean difference; libraries round and filter a little differently
# What names code, a place, a version or a device, and has no effect on images.
LEFT_OUT = frozenset(
    {
        "_auto_class",
        "_name_or_path",
        "_processor_class",
        "auto_map",
        "device",
        "name_or_path",
        "processor_class",
        "transformers_version",
    }
)
TYPES = frozenset({"image_processor_type", "feature_extractor_type"})
TYPE = re.compile(r"[A-Z]\w*(ImageProcessor|FeatureExtractor)(Fast|Pil)?")
WORD = re.compile(r"\w{1,100}")
SMALLEST_SHARE = 0.05
IMAGES = ((197, 131), (90, 160))


def read_processor(file: Path) -> Preprocess:
    """Return what an image processor does as a `Preprocess`.

    Processors have settings without number. A handful of readings are tried, and one counts when
    it gives the same pixels as the processor itself.

    Args:
        file: A `preprocessor_config.json`.

    Raises:
        BackboneError: The processor does what `Preprocess` cannot.
        DataError: The file is damaged, or holds what no processor of transformers needs.
    """
    given = _read(file)
    try:
        processor = _processor(given, file.with_name("config.json"))
        settings = {**given, **processor.to_dict()}
        wanted = [_run(processor, image) for image in _images()]
    except Exception as error:  # processors check little and fail anywhere
        reason = str(error).strip().partition("\n")[0]
        raise BackboneError(
            f"The image processor '{file}' cannot be used: {reason}.",
            "Save the processor again with this version of transformers.",
        ) from error
    for reading in _readings(settings):
        if all(
            _agree(reading, image, pixels) for image, pixels in zip(_images(), wanted, strict=True)
        ):
            return reading
    switched_on = [key for key, value in settings.items() if key.startswith("do_") and value]
    raise BackboneError(
        f"The image processor '{file}' ({type(processor).__name__}: {', '.join(switched_on)}) "
        "prepares images in a way that cannot be repeated here.",
        "Choose another backbone.",
    )


def _read(file: Path) -> dict[str, Any]:
    """Return the settings in a file, of which none can name code or require a huge image."""
    try:
        given = parse_json(read_text(file))
        if not isinstance(given, dict):
            raise ValueError("it is not a mapping")
        settings = {key: value for key, value in given.items() if key not in LEFT_OUT}
        for key, value in settings.items():
            _check(key, value)
    except (OSError, ValueError) as error:
        raise DataError(
            f"The image processor '{file}' is damaged: {error}.",
            "Save the processor again with this version of transformers.",
        ) from error
    return settings


def _check(key: str, value: Any) -> None:
    """Raise a `ValueError` where a setting is no flag, word or number within limits."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        for part in inner:
            if isinstance(part, dict | list):
                raise ValueError(f"{key} = {shown(value)} is not possible")
            _check(key, part)
    elif isinstance(value, str):
        if not WORD.fullmatch(value) or (key in TYPES and not TYPE.fullmatch(value)):
            raise ValueError(f"{key} = {shown(value)} is not possible")
    elif value is not None:
        least = SMALLEST_SHARE if key == "crop_pct" else -LARGEST_SIDE
        if not least <= value <= LARGEST_SIDE:
            raise ValueError(f"{key} = {shown(value)} is not possible")


def _processor(settings: Mapping[str, Any], config: Path) -> Any:
    """Let transformers make the processor from nothing but its settings and the type of model."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "preprocessor_config.json").write_text(json.dumps(settings))
        if config.is_file():
            kind = parse_json(read_text(config)).get("model_type")
            if isinstance(kind, str) and WORD.fullmatch(kind.replace("-", "_")):
                (Path(folder) / "config.json").write_text(json.dumps({"model_type": kind}))
        return AutoImageProcessor.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )


def _readings(settings: Mapping[str, Any]) -> Iterator[Preprocess]:
    """Yield what the settings may mean, the most usual first."""
    interpolation = INTERPOLATIONS.get(int(settings.get("resample") or 0))
    size, crop = settings.get("size"), settings.get("crop_size")
    target = _height_and_width(crop if settings.get("do_center_crop") and crop else size)
    if interpolation is None or target is None:
        return
    mean, std = _moments(settings)
    base = Preprocess(target, interpolation=interpolation, mean=mean, std=std)
    shortest = size.get("shortest_edge") if isinstance(size, Mapping) else None
    share = settings.get("crop_pct")
    scaled = [shortest, shortest and share and int(shortest / share)]
    scaled.append(shortest and int(256 / 224 * shortest))  # LeViT's processor does so unasked
    usual = [replace(base, resize=resize) for resize in scaled if resize]
    if not shortest and settings.get("do_center_crop"):
        yield replace(base, crop="squash", resize=min(_height_and_width(size) or target))
    yield from (*usual, replace(base, crop="squash"))
    # EfficientNet divides by the standard deviation twice.
    yield replace(base, crop="squash", std=tuple(value * value for value in std))


def _height_and_width(size: Any) -> tuple[int, int] | None:
    if isinstance(size, int):
        return size, size
    if isinstance(size, Mapping) and size.get("height") and size.get("width"):
        return int(size["height"]), int(size["width"])
    if isinstance(size, Mapping) and size.get("shortest_edge"):
        return int(size["shortest_edge"]), int(size["shortest_edge"])
    return None


def _moments(settings: Mapping[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and deviation of pixels in 0..1, whatever scale the processor works on."""
    mean, std = (0.0,) * 3, (1.0,) * 3
    if settings.get("do_normalize"):
        mean, std = tuple(settings["image_mean"]), tuple(settings["image_std"])
    factor = settings.get("rescale_factor", 1 / 255) if settings.get("do_rescale", True) else 1
    scale = 255 * factor
    if abs(scale - 1) < 1e-6:
        return mean, std
    return tuple(value / scale for value in mean), tuple(value / scale for value in std)


def _images() -> Iterator[Image.Image]:
    """Yield smooth colourful images, one wide and one tall, without symmetry."""
    for width, height in IMAGES:
        coarse = np.random.default_rng(width).integers(256, size=(5, 7, 3), dtype=np.uint8)
        yield Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def _run(processor: Any, image: Image.Image) -> NDArray[np.float32]:
    pixels = processor(images=image, return_tensors="np")["pixel_values"]
    first: NDArray[np.float32] = np.asarray(pixels, dtype=np.float32)[0]
    return first


def _agree(reading: Preprocess, image: Image.Image, wanted: NDArray[np.float32]) -> bool:
    ours = reading.normalize(reading.pixels([reading.view(image)]))[0].numpy()
    if ours.shape != wanted.shape:
        return False
    deviation = np.asarray(reading.std, dtype=np.float32)[:, None, None]
    return bool((np.abs(ours - wanted) * deviation).mean() < TOLERANCE)
