"""What all tests share: where the real data lies, and small images to make."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.http_server import serve

__all__ = ["serve"]

MakePhoto = Callable[..., Image.Image]
MakeFolder = Callable[[Mapping[str, int]], Path]


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Leave the user's cache alone, and find nothing there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAFT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real images and weights beside the repository."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(f"real images and weights are not here: no folder {folder}")
    return folder


@pytest.fixture(scope="session")
def make_photo() -> MakePhoto:
    """Make a smooth RGB image that differs for each seed."""

    def make(width: int = 48, height: int = 32, seed: int = 0) -> Image.Image:
        coarse = np.random.default_rng(seed).integers(256, size=(4, 4, 3), dtype=np.uint8)
        return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)

    return make


@pytest.fixture
def make_folder(tmp_path: Path, make_photo: MakePhoto) -> MakeFolder:
    """Make a data set from {"train/ants": 3, ...}: so many distinct JPEG files in each folder."""

    def make(counts: Mapping[str, int]) -> Path:
        root = tmp_path / "photos"
        root.mkdir(exist_ok=True)
        seed = 0
        for folder, count in counts.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                seed += 1
                make_photo(seed=seed).save(root / folder / f"{number:03}.jpg")
        return root

    return make
