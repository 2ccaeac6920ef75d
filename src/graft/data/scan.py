"""From a folder or a table to a `Manifest`: every image found, hashed and tried."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np

from graft.data.decode import Examination, decode, examine, pixel_digest
from graft.data.hub_dataset import hub_name, is_saved_dataset, read_hub_dataset, read_saved_dataset
from graft.data.layout import LabelledFile, Listing, images_below, read_folder
from graft.data.manifest import Manifest, Sample
from graft.data.pixel_data import find_pixel_data, read_pixel_data
from graft.data.table import read_table
from graft.errors import DataError, GraftError
from graft.files import readable_path
from graft.machine import available_cores

_CHUNK = 64  # files per task, so that handing out tasks costs little
_TOLERANCE = 12  # between the mean colours, 0 to 255, of an image and of the same one reduced


def scan(
    source: str | os.PathLike[str], *, check: bool = True, task: str | None = None
) -> Manifest:
    """Find every labelled image of a data set.

    Args:
        source: A folder `train/val[/test]/<class>/...` or `<class>/...`, or with labels in the
            file names such as `cat.0.jpg` (see `layout`); a CSV with the columns path, label (or
            labels, or value) and perhaps split (see `table`); a CSV or IDX files of pixels (see
            `pixel_data`); or a Hugging Face dataset: the folder of `save_to_disk`, or
            `hf:ORG/NAME[@revision][:config][[:N]]` (see `hub_dataset`).
        check: Read the pixels of each file, so that a damaged one is set aside now and not found
            in the middle of training. With False only the header is read.
        task: Which column of a CSV to read, where it has those of several tasks.

    Returns:
        The samples, unreadable ones included with their reason. Their split is "" where the
        source does not say.

    Raises:
        DataError: The source does not exist, is none of these, or holds no labelled image.
        ResourceError: A dataset's images could not be fetched or written out.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "ants").mkdir()
        >>> Image.new("RGB", (40, 30)).save(folder / "ants" / "1.png")
        >>> (folder / "ants" / "2.png").touch()
        >>> [(sample.label, sample.width, sample.state) for sample in scan(folder).samples]
        [('ants', 40, 'ok'), ('ants', 0, 'zero bytes')]
    """
    root = locate(source)
    entries, notes, found = _listing(root, task)
    if not entries:
        raise DataError(
            " ".join([f"'{source}' holds no labelled images.", *notes]),
            "Put the images of each class into a folder of the class's name, or begin their file "
            "names with it, as in cat_001.jpg.",
        )
    chunks = [entries[start : start + _CHUNK] for start in range(0, len(entries), _CHUNK)]
    with ThreadPoolExecutor(available_cores()) as pool:
        parts = pool.map(partial(_examined, pixels=check), chunks)
        examined = [each for part in parts for each in part]
        paths = (entry.path for entry in entries)
        found_files = zip(paths, examined, strict=True)
        files = {each.sha256: (path, each) for path, each in found_files}
        twins = _twins(files, pool)
    samples = tuple(map(partial(_sample, twins=twins), entries, examined))
    return Manifest(samples, root, tuple(notes), found)


def locate(source: str | os.PathLike[str]) -> str:
    """Return what a source is called from any folder: its absolute path, or its name on the hub.

    Example:
        >>> locate("hf:beans")
        'hf:beans'
        >>> locate("photos") == Path("photos").resolve().as_posix()
        True
    """
    name = os.fspath(source)
    return name if hub_name(name) else readable_path(name).resolve().as_posix()


def restore(source: str, manifest: Manifest) -> None:
    """Write out again what the cache has lost of images that lie in no files of their own.

    What stays missing is left to `require_unchanged`, which names it.
    """
    if not all(Path(sample.path).exists() for sample in manifest.readable):
        with suppress(GraftError):
            _listing(source, None)


def _listing(source: str, task: str | None) -> Listing:
    """Ask the reader that understands a source what is in it."""
    name, path = hub_name(source), Path(source)
    if name:
        return read_hub_dataset(name)
    listing = _in_folder(path) if path.is_dir() else None
    if listing and listing.entries:
        return listing
    parts, notes = find_pixel_data(path) if path.is_dir() or path.is_file() else ([], [])
    if parts:
        return read_pixel_data(path, parts, notes)
    if listing is not None:
        return listing._replace(notes=[*listing.notes, *notes])
    if path.suffix.casefold() in (".csv", ".tsv") and path.is_file():
        return read_table(path, task)
    raise DataError(
        f"'{source}' is neither a folder nor a CSV nor an IDX file of images."
        if path.exists()
        else f"'{source}' does not exist.",
        "Give a folder of images, a CSV, or hf:ORG/NAME.",
    )


def _in_folder(folder: Path) -> Listing:
    return read_saved_dataset(folder) if is_saved_dataset(folder) else read_folder(folder)


def _examined(entries: list[LabelledFile], pixels: bool) -> list[Examination]:
    return [examine(entry.path, pixels=pixels) for entry in entries]


def _sample(entry: LabelledFile, found: Examination, twins: Mapping[str, str]) -> Sample:
    return Sample(
        entry.path.as_posix(),
        entry.label,
        entry.split,
        found.sha256,
        found.width,
        found.height,
        found.state,
        entry.group,
        twins.get(found.sha256, ""),
    )


def _twins(files: Mapping[str, tuple[Path, Examination]], pool: Executor) -> dict[str, str]:
    """Find different files that decode to the same pixels.

    What was examined whole is compared by its digest. A JPEG was examined reduced; it is decoded
    whole only where it may be a copy: another one looks the same reduced, or a whole image of the
    same size has nearly the same colours.

    Args:
        files: By content hash.
        pool: Threads that decode.

    Returns:
        For the hash of each such file the one hash that stands for all with its pixels.
    """
    sizes: dict[tuple[int, int], list[str]] = defaultdict(list)
    for digest, (_, found) in files.items():
        if found.pixels:
            sizes[found.width, found.height].append(digest)
    doubtful = []
    for group in sizes.values():
        whole = [digest for digest in group if files[digest][1].whole]
        reduced = [digest for digest in group if not files[digest][1].whole]
        alike = Counter(files[digest][1].pixels for digest in reduced)
        near = _near(*([files[name][1].colours for name in kind] for kind in (reduced, whole)))
        doubtful += [
            digest
            for digest, close in zip(reduced, near, strict=True)
            if close or alike[files[digest][1].pixels] > 1
        ]
    read = pool.map(lambda digest: _whole(files[digest][0], digest), doubtful)
    decoded = dict(zip(doubtful, read, strict=True))
    same: dict[str, list[str]] = defaultdict(list)
    for digest, (_, found) in files.items():
        same[found.pixels if found.whole else decoded.get(digest, "")].append(digest)
    same.pop("", None)
    return {digest: min(group) for group in same.values() if len(group) > 1 for digest in group}


def _whole(path: Path, sha256: str) -> str:
    """Return the digest of an image's whole pixels; "" if they cannot be read any more."""
    try:
        return pixel_digest(decode(path, sha256=sha256))
    except DataError:
        return ""


def _near(reduced: Sequence[bytes], whole: Sequence[bytes]) -> list[bool]:
    """Say of each reduced image whether a whole one has nearly the same colours."""
    if not reduced or not whole:
        return [False] * len(reduced)
    ours, theirs = (
        np.frombuffer(b"".join(each), np.uint8).reshape(len(each), -1).astype(np.int16)
        for each in (reduced, whole)
    )
    return [bool((np.abs(theirs - one).max(axis=1) <= _TOLERANCE).any()) for one in ours]


def scan_unlabelled(folder: str | os.PathLike[str], *, max_unreadable: float = 0.2) -> Manifest:
    """Find every image below a folder, to any depth; what the folders are called plays no role.

    Args:
        folder: Where to look.
        max_unreadable: Share of unreadable images that is an error.

    Returns:
        Samples of the split "train" without a label. Copies of one image are taken once.

    Raises:
        DataError: The folder does not exist, holds no image, or too many cannot be read.

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
        found = list(pool.map(_unlabelled_sample, images_below(root)))
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


def _unlabelled_sample(path: Path) -> Sample:
    width, height, state, sha256, *_ = examine(path, pixels=True)
    return Sample(path.as_posix(), "", "train", sha256, width, height, state)
