"""Downloads: any file, whole and checked, or refused where the network may not be used."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from http.client import HTTPException, HTTPMessage, InvalidURL
from pathlib import Path, PurePosixPath
from typing import IO, TypeAlias
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from graft.errors import ResourceError
from graft.files import atomic_write, wrap_os_errors
from graft.files import sha256 as sha256_of

VARIABLES = ("GRAFT_OFFLINE", "HF_HUB_OFFLINE")
"""Environment variables that keep Graft offline: its own, and that of the Hugging Face tools."""

_YES = frozenset({"1", "true", "yes", "on"})
_asked_to_stay: ContextVar[bool] = ContextVar("asked_to_stay_offline", default=False)


def offline() -> bool:
    """Return whether nothing may be asked of the network.

    That is so inside `staying_offline()`, and wherever GRAFT_OFFLINE or HF_HUB_OFFLINE is 1 (true,
    yes, on).

    Example:
        >>> with staying_offline():
        ...     offline()
        True
    """
    return _asked_to_stay.get() or any(
        os.environ.get(name, "").strip().casefold() in _YES for name in VARIABLES
    )


@contextmanager
def staying_offline(wanted: bool = True) -> Iterator[None]:
    """Ask nothing of the network inside the block.

    Threads that are started inside do not inherit it; it is meant for the workflows, which fetch
    what they need before they start any.

    Args:
        wanted: What `--offline` says. False changes nothing: where the environment or an outer
            block keeps Graft offline, it stays so.
    """
    token = _asked_to_stay.set(wanted or _asked_to_stay.get())
    try:
        yield
    finally:
        _asked_to_stay.reset(token)


BLOCK = 1 << 18
HASH = re.compile(r"-([0-9a-f]{8,64})\.")
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that another attempt may cure."""

PAUSE = 1.0
"""Seconds before another attempt."""

SCHEMES = frozenset({"http", "https"})

Progress: TypeAlias = Callable[[int, "int | None"], object]


def download(
    url: str,
    folder: Path,
    *,
    what: str,
    hint: str,
    sha256: str | None = None,
    timeout: float = 20.0,
    attempts: int = 3,
) -> Path:
    """Return the local copy of a file, downloading it if there is none.

    The file appears under its name whole and checked, or not at all; processes that download it at
    the same time do not disturb one another. On a terminal, progress is drawn on stderr.

    Args:
        url: Where the file is, by http or https. A name like "resnet18-f37072fd.pth" carries the
            beginning of the file's SHA-256. Redirects are followed, but never from https to http.
        folder: Where to keep it.
        what: What it is, for the errors: "The pre-trained weights".
        hint: How else one can come by it, for the errors: "fetch the file elsewhere and …".
        sha256: SHA-256 of the file, or its beginning, where it is known otherwise. A file that is
            there already is then checked too, and replaced if it is another.
        timeout: Seconds without a byte after which a connection counts as broken.
        attempts: How often to begin, in all, where a connection breaks or a server is busy. A
            server that cannot be reached, or that refuses, is asked once.

    Raises:
        ResourceError: Graft is offline, the server fails, the size or checksum differs, or the
            disk is full.

    Example:
        >>> import tempfile
        >>> cache = Path(tempfile.mkdtemp())
        >>> _ = (cache / "tiny.zip").write_bytes(b"images")
        >>> url = "https://example.org/tiny.zip"
        >>> download(url, cache, what="The images", hint="ask a friend").read_bytes()
        b'images'
    """
    place = urlsplit(url)
    name = PurePosixPath(place.path).name
    if place.scheme not in SCHEMES or name in ("", ".."):
        raise ResourceError(
            f"'{url}' is not the http or https address of a file.",
            f"{hint[0].upper()}{hint[1:]}.",
        )
    source = place._replace(query="", fragment="").geturl()  # a query may hold a key
    target = folder / name
    if target.is_file() and (sha256 is None or sha256_of(target).startswith(sha256)):
        return target
    if offline():
        raise ResourceError(
            f"Graft is offline and '{name}' is not in {folder}; it would come from {source}.",
            f"Allow the network once, or {hint}.",
        )
    with wrap_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(target) as temporary:
        try:
            with _bar(name) as progress:
                _transfer(url, temporary, timeout, attempts, progress)
        except _TransferError as error:
            raise ResourceError(
                f"{what} could not be fetched from {source}: {error}.",
                f"Check the network, or {hint}.",
            ) from error
        promised, found = sha256 or promised_hash(name), sha256_of(temporary)
        if promised and not found.startswith(promised):
            raise ResourceError(
                f"What {source} sent is damaged: its SHA-256 begins with "
                f"{found[: len(promised)]}, not {promised}.",
                f"Try again, or {hint}.",
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


class _TransferError(Exception):
    """Why a file did not arrive, as the end of the sentence "could not be fetched: ..."."""

    def __init__(self, reason: object, *, passing: bool = False) -> None:
        super().__init__(str(reason) or type(reason).__name__)
        self.passing = passing  # whether another attempt may cure it


class _SafeRedirects(HTTPRedirectHandler):
    """Follow redirects within http and https, and from http to https, but not back."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        old, new = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if new not in SCHEMES or (old == "https" and new == "http"):
            reason = f"a redirect from {old} to {new} is not followed"
            raise HTTPError(req.full_url, code, reason, headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _transfer(url: str, target: Path, timeout: float, attempts: int, progress: Progress) -> None:
    """Write what an address serves into a file; after a passing failure begin anew."""
    for left in reversed(range(attempts)):
        try:
            with target.open("wb") as file:
                for block, total in _blocks(url, timeout):
                    file.write(block)
                    progress(file.tell(), total)
            return
        except _TransferError as error:
            if not (left and error.passing):
                raise
        time.sleep(PAUSE)


def _blocks(url: str, timeout: float) -> Iterator[tuple[bytes, int | None]]:
    """Yield what an address serves, with the promised length of the whole."""
    received = 0
    try:
        request = Request(url, headers={"User-Agent": "graft"})
        with build_opener(_SafeRedirects).open(request, timeout=timeout) as response:
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdecimal() else None
            while block := response.read1(BLOCK):
                received += len(block)
                yield block, total
    except HTTPError as error:
        error.close()
        raise _TransferError(error, passing=error.code in PASSING) from error
    except URLError as error:
        raise _TransferError(error.reason) from error
    except (InvalidURL, ValueError) as error:
        raise _TransferError(error) from error
    except (OSError, HTTPException) as error:
        raise _TransferError(error, passing=True) from error
    if total is not None and received != total:
        raise _TransferError(f"only {received:,} of {total:,} bytes came", passing=True)


@contextmanager
def _bar(name: str) -> Iterator[Progress]:
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
