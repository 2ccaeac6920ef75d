"""Data and weights for whole runs in a few seconds, without the network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SMALL = {"backbone": "squeezenet1_1", "image_size": 32, "batch_size": 8, "augment": "none"}
"""Options under which a run takes a second or two."""


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file of SqueezeNet 1.1 with random values, as `--weights` takes it."""
    import torch
    from safetensors.torch import save_file
    from torchvision.models import squeezenet1_1

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "squeezenet1_1.safetensors"
    save_file(squeezenet1_1().state_dict(), path)
    return path


def write_photos(root: Path, counts: dict[str, int], *, seed: int = 0) -> Path:
    """Write noise images whose colour tells their class: `{"train/red": 5}` makes five."""
    rng = np.random.default_rng(seed)
    colours = {"red": (150, 60, 60), "green": (60, 150, 60), "blue": (60, 60, 150)}
    for folder, count in counts.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        colour = colours.get(Path(folder).name, (90, 90, 90))
        for number in range(count):
            pixels = rng.normal(colour, 50, (40, 48, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / folder / f"{number:02}.png")
    return root


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes, split into train, val and test."""
    counts = {
        f"{split}/{label}": count
        for split, count in (("train", 8), ("val", 5), ("test", 4))
        for label in ("red", "green", "blue")
    }
    return write_photos(tmp_path_factory.mktemp("photos"), counts)
