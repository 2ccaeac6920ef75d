"""Whether a data set's files are still those that were scanned."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

from graft.data.cores import available_cores
from graft.data.manifest import Manifest, Sample
from graft.data.read import UnreadableError, regular_file
from graft.errors import DataError

_NAMED = 3
_BLOCK = 1 << 20


def require_unchanged(manifest: Manifest) -> None:
    """Compare the content of every readable sample's file with the hash in the table.

    Args:
        manifest: As a run's `split.csv` holds it.

    Raises:
        DataError: Files have changed or are gone; the first few are named.

    Example:
        >>> gone = Sample("/photos/ant.jpg", "ants", "train", sha256="ab")
        >>> try:
        ...     require_unchanged(Manifest((gone,), "/photos"))
        ... except DataError as error:
        ...     print(error.problem)
        1 of 1 images of this run changed since it began: '/photos/ant.jpg' (no such file).
    """
    known = [sample for sample in manifest.readable if sample.sha256]
    with ThreadPoolExecutor(available_cores()) as pool:
        found = list(zip(known, pool.map(_difference, known), strict=True))
    wrong = [f"'{sample.path}' ({difference})" for sample, difference in found if difference]
    if wrong:
        more = [f"{len(wrong) - _NAMED:,} more"] if len(wrong) > _NAMED else []
        raise DataError(
            f"{len(wrong):,} of {len(known):,} images of this run changed since it began: "
            f"{', '.join(wrong[:_NAMED] + more)}.",
            "Put the original files back, or start a new run in another --out.",
        )


def _difference(sample: Sample) -> str:
    """Return in words how a file differs from its sample, "" if it does not."""
    digest = hashlib.sha256()
    try:
        with regular_file(sample.path) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except UnreadableError as error:
        return str(error)
    return "" if digest.hexdigest() == sample.sha256 else "other content"
