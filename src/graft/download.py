"""A file from the network, once: whole and checked under its name, or not there at all."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from graft import transfer
from graft.errors import ResourceError
from graft.files import refusals_are_named, replacing
from graft.files import sha256 as sha256_of
from graft.network import offline
from graft.transfer import PATIENCE, SCHEMES, Patience, TransferError

HASH = re.compile(r"-([0-9a-f]{8,64})\.")


def download(
    url: str,
    folder: Path,
    *,
    what: str,
    otherwise: str,
    sha256: str | None = None,
    patience: Patience = PATIENCE,
) -> Path:
    """Return the local copy of a file, downloading it if there is none.

    The file appears under its name whole and checked, or not at all; processes that download it at
    the same time do not disturb one another. On a terminal, progress is drawn on stderr.

    Args:
        url: Where the file is, by http or https. A name like "resnet18-f37072fd.pth" carries the
            beginning of the file's SHA-256.
        folder: Where to keep it.
        what: What it is, for the errors: "The pre-trained weights".
        otherwise: How else one can come by it, for the errors: "fetch the file elsewhere and …".
        sha256: SHA-256 of the file, or its beginning, where it is known otherwise. A file that is
            there already is then checked too, and replaced if it is another.
        patience: Time-outs and further attempts.

    Raises:
        ResourceError: Graft is offline, the server fails, the checksum differs, or the disk is
            full.

    Example:
        >>> import tempfile
        >>> cache = Path(tempfile.mkdtemp())
        >>> _ = (cache / "tiny.zip").write_bytes(b"pictures")
        >>> url = "https://example.org/tiny.zip"
        >>> download(url, cache, what="The pictures", otherwise="ask a friend").read_bytes()
        b'pictures'
    """
    place = urlsplit(url)
    name = PurePosixPath(place.path).name
    if place.scheme not in SCHEMES or name in ("", ".."):
        raise ResourceError(
            f"'{url}' is not the http or https address of a file.", f"{_sentence(otherwise)}."
        )
    source = place._replace(query="", fragment="").geturl()  # a query may hold a key
    target = folder / name
    if target.is_file() and (sha256 is None or sha256_of(target).startswith(sha256)):
        return target
    if offline():
        raise ResourceError(
            f"Graft is offline and '{name}' is not in {folder}; it would come from {source}.",
            f"Allow the network once, or {otherwise}.",
        )
    with refusals_are_named(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with replacing(target) as temporary:
        try:
            with _bar(name) as progress:
                transfer.transfer(url, temporary, patience=patience, progress=progress)
        except TransferError as error:
            raise ResourceError(
                f"{what} could not be fetched from {source}: {error}.",
                f"Check the network, or {otherwise}.",
            ) from error
        promised, found = sha256 or promised_hash(name), sha256_of(temporary)
        if promised and not found.startswith(promised):
            raise ResourceError(
                f"What {source} sent is damaged: its SHA-256 begins with "
                f"{found[: len(promised)]}, not {promised}.",
                f"Try again, or {otherwise}.",
            )
    return target


def promised_hash(name: str) -> str | None:
    """Return the beginning of the SHA-256 that a file name or address carries.

    Example:
        >>> promised_hash("resnet18-f37072fd.pth")
        'f37072fd'
    """
    found = HASH.search(name)
    return found[1] if found else None


@contextmanager
def _bar(name: str) -> Iterator[transfer.Progress]:
    """Draw a bar on stderr if that is a terminal; yields what moves it."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    console = Console(file=sys.stderr)
    with Progress(
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task(name, total=None)
        update = partial(progress.update, task)
        yield lambda received, total: update(completed=received, total=total)


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:]
