"""Ants and bees, from the archive of the best-known tutorial."""

from __future__ import annotations

import stat
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from graft.download import download
from graft.errors import DataError
from graft.files import wrap_os_errors
from graft.user_cache import user_cache

BLOCK = 1 << 18
MOST_FILES = 100_000


def unzip(
    archive: Path, folder: Path, *, most_bytes: int = 1 << 30, most_files: int = MOST_FILES
) -> None:
    """Unpack a ZIP archive into a folder, and nothing anywhere else.

    Args:
        archive: The file.
        folder: An existing, empty folder.
        most_bytes: Most bytes that it may unpack to, counted as they come and not as promised.
        most_files: Most entries.

    Raises:
        DataError: It is no whole ZIP archive; it is larger than allowed, encrypted, or holds a
            link, an absolute path or one that leads out of the folder.
        ResourceError: The disk is full.

    Example:
        >>> import tempfile
        >>> place = Path(tempfile.mkdtemp())
        >>> with zipfile.ZipFile(place / "a.zip", "w") as made:
        ...     made.writestr("ants/1.txt", "an ant")
        >>> (place / "out").mkdir()
        >>> unzip(place / "a.zip", place / "out")
        >>> (place / "out/ants/1.txt").read_text()
        'an ant'
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            if len(entries) > most_files:
                raise _refusal(archive, f"it has {len(entries):,} entries")
            places = [_place(entry, archive) for entry in entries]
            left = most_bytes
            for entry, place in zip(entries, places, strict=True):
                left -= _extract(opened, entry, folder / place, left, archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise DataError(
            f"'{archive}' is not a whole ZIP archive: {error}.", "Delete it and try again."
        ) from error


def _place(entry: zipfile.ZipInfo, archive: Path) -> PurePosixPath:
    """Return where an entry belongs, below the folder."""
    name = PurePosixPath(entry.filename)
    strange = "\\" in entry.filename or ":" in entry.filename or "\0" in entry.filename
    if name.is_absolute() or ".." in name.parts or strange:
        raise _refusal(archive, f"its entry {entry.filename!r} leads out of the folder")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _refusal(archive, f"its entry {entry.filename!r} is a link or a device")
    if entry.flag_bits & 1:
        raise _refusal(archive, "it is encrypted")
    return name


def _extract(
    opened: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, most: int, archive: Path
) -> int:
    """Write one entry; returns its bytes."""
    with wrap_os_errors(target):
        if entry.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            return 0
        target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with opened.open(entry) as source, wrap_os_errors(target), target.open("xb") as file:
        while block := source.read(BLOCK):
            written += len(block)
            if written > most:
                raise _refusal(archive, "it unpacks to more than is allowed")
            file.write(block)
    return written


def _refusal(archive: Path, why: str) -> DataError:
    return DataError(
        f"'{archive}' is not unpacked: {why}.", "Use another copy, or unpack it yourself."
    )


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
        hint="unpack a copy of that archive yourself: any folder train|val/<class>/ will do. "
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
