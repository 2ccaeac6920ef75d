"""Pictures without labels: every one below a folder, hashed and tried."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from graft.data.cores import available_cores
from graft.data.decode import examine
from graft.data.find import images_below
from graft.data.manifest import Manifest, Sample
from graft.errors import DataError
from graft.files import readable_path


def scan_unlabelled(folder: str | os.PathLike[str], *, max_unreadable: float = 0.2) -> Manifest:
    """Find every picture below a folder, to any depth; what the folders are called plays no role.

    Args:
        folder: Where to look.
        max_unreadable: Share of unreadable pictures that is an error.

    Returns:
        Samples of the split "train" without a label. Copies of one picture are taken once.

    Raises:
        DataError: The folder does not exist, holds no picture, or too many cannot be read.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp())
        >>> Image.new("RGB", (40, 30)).save(folder / "1.png")
        >>> [(found.split, found.width) for found in scan_unlabelled(folder).samples]
        [('train', 40)]
    """
    root = readable_path(folder)
    if not root.is_dir():
        raise DataError(
            f"'{folder}' is no folder." if root.exists() else f"'{folder}' does not exist.",
            "Give a folder of images.",
        )
    with ThreadPoolExecutor(available_cores()) as pool:
        found = list(pool.map(_sample, images_below(root)))
    broken = [sample for sample in found if sample.state != "ok"]
    if not found or len(broken) == len(found):
        raise DataError(f"'{folder}' holds no image that can be read.", "Give a folder of images.")
    if len(broken) > max_unreadable * len(found):
        raise DataError(
            f"{len(broken)} of {len(found)} images cannot be read; the first is "
            f"'{broken[0].path}': {broken[0].state}.",
            "Repair or remove them, or raise --max-unreadable.",
        )
    once = {sample.sha256 or sample.path: sample for sample in reversed(found)}
    kept = tuple(sorted(once.values(), key=lambda sample: sample.path))
    notes = []
    if broken:
        notes.append(f"Set aside: {len(broken)} images that cannot be read.")
    if len(kept) < len(found):
        notes.append(f"{len(found) - len(kept)} copies of other images are left out.")
    return Manifest(kept, root.resolve().as_posix(), tuple(notes))


def _sample(path: Path) -> Sample:
    width, height, state, sha256 = examine(path, pixels=True)
    return Sample(path.as_posix(), "", "train", sha256, width, height, state)
