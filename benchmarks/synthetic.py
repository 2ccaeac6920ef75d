"""Many small photographs that all differ, in two classes that can be told apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 32
CLASSES = ("bluish", "reddish")


def write_images(folder: Path, count: int) -> Path:
    """Write JPEG files `<class>/<number>.jpg`, half of them in each class.

    Args:
        folder: New.
        count: Number of files.

    Returns:
        The folder.
    """
    for position, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        rng = np.random.default_rng(position)
        for number in range(position, count, len(CLASSES)):
            coarse = rng.integers(0, 200, size=(4, 4, 3), dtype=np.uint8)
            coarse[..., 2 * (1 - position)] += rng.integers(0, 56, dtype=np.uint8)
            image = Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
            image.save(folder / name / f"{number:06}.jpg", quality=80)
    return folder
