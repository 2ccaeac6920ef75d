"""Digits on photographs: the same labels in another domain, as MNIST-M is to MNIST.

The recipe is that of MNIST-M (Ganin and Lempitsky 2015, arXiv:1409.7495; Arbelaez et al. 2011 for
its photographs): each digit, enlarged, is blended with a random patch of a colour photograph by the
absolute difference of the two, `|digit - patch|` in each channel. The photographs here are the two
that scikit-learn carries, a Chinese temple and a flower.

Digit and split are those of `digits`. Training, validation and test patches come from different
columns of the photographs (the same 40 : 10 : 50), so that no background is seen in two splits.
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
    regions = {split: [_region(p, split) for p in photographs] for split, _ in digits.SHARES}
    for digit in digits.digits(seed=seed, per_class=per_class, val_per_class=val_per_class):
        rng = np.random.default_rng([seed, digit.number])
        small = Image.fromarray(digit.pixels)
        large = np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
        image = blended(large, _patch(regions[digit.split], rng))
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


def _region(photograph: NDArray[np.uint8], split: str) -> NDArray[np.uint8]:
    """Return the columns of a photograph that belong to a split."""
    start = 0.0
    for name, share in digits.SHARES:
        if name == split:
            width = photograph.shape[1]
            return photograph[:, round(start * width) : round((start + share) * width)]
        start += share
    raise AssertionError(f"'{split}' is no split")


def _patch(regions: list[NDArray[np.uint8]], rng: np.random.Generator) -> NDArray[np.uint8]:
    region = regions[rng.integers(len(regions))]
    top = int(rng.integers(region.shape[0] - SIDE + 1))
    left = int(rng.integers(region.shape[1] - SIDE + 1))
    return region[top : top + SIDE, left : left + SIDE]
