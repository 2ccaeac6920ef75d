"""Ants and bees: the photographs of the best-known tutorial on transfer learning, downloaded.

One of its files, `train/ants/imageNotFound.gif`, is a notice in place of a photograph: it is left
where it is, as everybody else's copy has it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from graft.download import download
from graft.errors import DataError
from graft.samples.unzip import unzip
from graft.user_cache import user_cache

URL = "https://download.pytorch.org/tutorial/hymenoptera_data.zip"
SHA256 = "fbc41b31d544714d18dd1230b1e2b455e1557766e13e67f9f5a7a23af7c02209"
"""As PyTorch's own build checks it (pytorch/tutorials, .jenkins/download_data.py)."""

SOURCE = f"PyTorch's transfer-learning tutorial, {URL}"
LICENCE = "not stated; photographs from ImageNet, for research and teaching"
MOST_BYTES = 500 << 20
EXPECTED = tuple(f"{split}/{label}" for split in ("train", "val") for label in ("ants", "bees"))


def write_hymenoptera(
    folder: Path, *, seed: int = 0, url: str = URL, sha256: str | None = SHA256
) -> None:
    """Write ants and bees as `train|val/<class>/…`; the archive is downloaded once and kept.

    Args:
        folder: An existing folder.
        seed: Nothing is drawn here.
        url: Where the archive is.
        sha256: What it must be; None takes what comes.

    Raises:
        ResourceError: Graft is offline and the archive is not in the cache, the server fails, the
            archive is another, or the disk is full.
        DataError: The archive is not what it should be.
    """
    archive = download(
        url,
        user_cache() / "downloads",
        what="The photographs of ants and bees",
        otherwise="unpack a copy of that archive yourself: any folder train|val/<class>/ will do. "
        "`graft samples digits DIR` needs no network",
        sha256=sha256,
    )
    with tempfile.TemporaryDirectory(prefix=".unzip-", dir=folder) as staged:
        unzip(archive, Path(staged), most_bytes=MOST_BYTES)
        root = _root(Path(staged), archive)
        for split in ("train", "val"):
            (root / split).rename(folder / split)


def _root(unpacked: Path, archive: Path) -> Path:
    """Return the folder in the archive that holds the splits."""
    for root in (unpacked, *sorted(path for path in unpacked.iterdir() if path.is_dir())):
        if all((root / name).is_dir() for name in EXPECTED):
            return root
    raise DataError(
        f"'{archive}' does not hold {', '.join(EXPECTED)}.",
        "Delete it and try again.",
    )
