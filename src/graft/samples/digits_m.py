"""Digits on photographs: the same labels in another domain, as MNIST-M is to MNIST.

The recipe is that of MNIST-M (Ganin and Lempitsky 2015, arXiv:1409.7495; Arbelaez et al. 2011 for
its photographs): each digit, enlarged, is blended with a random patch of a colour photograph by the
absolute difference of the two, `|digit - patch|` in each channel. The photographs here are the two
that scikit-learn carries, a Chinese temple and a flower.

Digit and split are those of `digits`. The photographs are cut into blocks, which belong to
training, validation and test like the squares of a board (the same 40 : 10 : 50), and a patch lies
within one block: no background is seen in two splits, and every split has sky, roof and petal.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from graft.samples import digits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SOURCE = (
    f"{digits.SOURCE}; blended with china.jpg by danielbuechele and flower.jpg by vultilion "
    "(Flickr), which scikit-learn's load_sample_images carries"
)
LICENCE = "digits: CC BY 4.0; photographs: CC BY 2.0"
SIDE = 32
ROWS, COLUMNS = 6, 10
"""Blocks of a photograph, each about 64 pixels wide and 71 high."""

OWNERS = ("test", "train", "test", "train", "test", "val", "test", "train", "test", "train")
"""Whose the blocks of the first row are; each further row begins `SHIFT` places later in it."""

SHIFT = 3


def write_digits_m(
    folder: Path,
    *,
    seed: int = 0,
    per_class: int | None = None,
    val_per_class: int | None = None,
) -> None:
    """Write digits on photographs as `train|val|test/<digit>/<number>.png`, RGB, 32 x 32 pixels.

    Args:
        folder: An existing folder.
        seed: Of the patches, and of the draw where not all are wanted; the same seed writes the
            same files.
        per_class: Training digits of each class; None means all, about 72.
        val_per_class: Validation digits of each class; None means all, about 18.
    """
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_sample_images

    photographs = [np.asarray(photograph) for photograph in load_sample_images().images]
    blocks = {
        split: [block for photograph in photographs for block in blocks_of(photograph, split)]
        for split, _ in digits.SHARES
    }
    for digit in digits.digits(seed=seed, per_class=per_class, val_per_class=val_per_class):
        rng = np.random.default_rng([seed, digit.number])
        small = Image.fromarray(digit.pixels)
        large = np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
        image = blended(large, _patch(blocks[digit.split], rng))
        place = folder / digit.split / str(digit.label)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{digit.number:04}.png")


def blended(digit: NDArray[np.uint8], patch: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the absolute difference of a digit and a patch, channel by channel.

    Args:
        digit: Grey, (height, width).
        patch: RGB, (height, width, 3).

    Example:
        >>> import numpy as np
        >>> white, patch = np.full((1, 1), 255, np.uint8), np.array([[[200, 100, 0]]], np.uint8)
        >>> blended(white, patch).tolist(), blended(0 * white, patch).tolist()
        ([[[55, 155, 255]]], [[[200, 100, 0]]])
    """
    import numpy as np

    difference = digit.astype(np.int16)[..., None] - patch.astype(np.int16)
    return np.abs(difference).astype(np.uint8)


def blocks_of(photograph: NDArray[np.uint8], split: str) -> list[NDArray[np.uint8]]:
    """Return the blocks of a photograph that belong to a split.

    Args:
        photograph: RGB, (height, width, 3).
        split: "train", "val" or "test".
    """
    height, width = photograph.shape[:2]
    return [
        photograph[
            row * height // ROWS : (row + 1) * height // ROWS,
            column * width // COLUMNS : (column + 1) * width // COLUMNS,
        ]
        for row in range(ROWS)
        for column in range(COLUMNS)
        if OWNERS[(column + SHIFT * row) % COLUMNS] == split
    ]


def _patch(blocks: list[NDArray[np.uint8]], rng: np.random.Generator) -> NDArray[np.uint8]:
    block = blocks[rng.integers(len(blocks))]
    top = int(rng.integers(block.shape[0] - SIDE + 1))
    left = int(rng.integers(block.shape[1] - SIDE + 1))
    return block[top : top + SIDE, left : left + SIDE]
