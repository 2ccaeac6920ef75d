"""Fetches published weights once, whole and checked, into PyTorch's own cache."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from urllib.parse import urlparse
from urllib.request import urlopen

import torch
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from graft.errors import ResourceError
from graft.files import replacing, sha256

SILENCE = 30.0  # seconds without a byte after which a server counts as gone
BLOCK = 1 << 16
HASH = re.compile(r"-([0-9a-f]{8,64})\.")


def cached_download(url: str, folder: Path | None = None) -> Path:
    """Return the local copy of a weights file, downloading it if there is none.

    A file name like "resnet18-f37072fd.pth" carries the beginning of its SHA-256, which is checked
    before the file appears under its name.

    Args:
        url: Where the file is.
        folder: Where to keep it; default: the cache of `torch.hub`.

    Raises:
        ResourceError: There is no network, the server fails, the checksum differs, or the disk is
            full.

    Example:
        >>> import tempfile
        >>> cache = Path(tempfile.mkdtemp())
        >>> _ = (cache / "tiny.pth").write_bytes(b"weights")
        >>> cached_download("https://example.org/tiny.pth", cache).read_bytes()
        b'weights'
    """
    folder = folder or Path(torch.hub.get_dir()) / "checkpoints"
    target = folder / PurePosixPath(urlparse(url).path).name
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(target) as temporary:
            _download(url, temporary)
            _check(url, temporary)
    return target


def promised_hash(name: str) -> str | None:
    """Return the beginning of the SHA-256 that a file name or address carries.

    Example:
        >>> promised_hash("resnet18-f37072fd.pth")
        'f37072fd'
    """
    found = HASH.search(name)
    return found[1] if found else None


def _download(url: str, target: Path) -> None:
    """Stream `url` into `target` with a progress bar on stderr."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    console = Console(file=sys.stderr)
    with (
        target.open("wb") as file,
        Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress,
    ):
        task = progress.add_task(PurePosixPath(url).name, total=None)
        for block, total in _blocks(url):
            file.write(block)
            progress.update(task, advance=len(block), total=total)


def _blocks(url: str) -> Iterator[tuple[bytes, int | None]]:
    """Yield what a server sends, with the length it promised.

    Only the network's errors are raised in here; those of the disk belong to the caller.
    """
    received = 0
    try:
        with urlopen(url, timeout=SILENCE) as response:
            promised = int(response.headers.get("Content-Length") or 0) or None
            while block := response.read(BLOCK):
                received += len(block)
                yield block, promised
    except (OSError, HTTPException, ValueError) as error:
        raise _unreachable(url, str(error) or type(error).__name__) from error
    if promised and received < promised:
        raise _unreachable(url, f"only {received} of {promised} bytes came")


def _check(url: str, file: Path) -> None:
    """Compare a file with the checksum in its address."""
    promised = promised_hash(url)
    found = sha256(file)
    if promised and not found.startswith(promised):
        raise ResourceError(
            f"What {url} sent is damaged: its SHA-256 begins with {found[: len(promised)]}, "
            f"not {promised}.",
            "Try again, or download the file elsewhere and pass it with --weights FILE.",
        )


def _unreachable(url: str, reason: str) -> ResourceError:
    return ResourceError(
        f"The pre-trained weights could not be fetched from {url}: {reason}.",
        "Check the network, or download the file elsewhere and pass it with --weights FILE.",
    )
