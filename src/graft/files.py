"""Files that are either whole or absent: atomic writes, content hashes, full disks named."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from graft.errors import ResourceError


def sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def refusals_are_named(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what the system refuses while `path` is written into a `ResourceError`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ResourceError(
                f"The disk is full: '{path}' could not be written.",
                "Free some space or choose another --out; what was complete before is kept.",
            ) from error
        raise ResourceError(
            f"'{path}' cannot be written: {error.strerror or error}.",
            "Choose a place that you may write to.",
        ) from error


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is fsynced and renamed over `path`.

    On any error the temporary file is removed and the old content stays. The file gets the mode of
    an ordinary new one, whatever wrote it: safetensors makes its files private.

    Raises:
        ResourceError: The disk is full or the folder cannot be written.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "note.txt"
        >>> with replacing(target) as temporary:
        ...     _ = temporary.write_text("whole")
        >>> target.read_text()
        'whole'
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        with refusals_are_named(target):
            temporary.touch()
            mode = temporary.stat().st_mode  # 0666 without the umask, which only setting it tells
            yield temporary
            temporary.chmod(mode)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(target)
            sync_folder(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the renames inside `folder` durable, where the platform can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def to_json(value: Any, *, indent: int | None = None) -> bytes:
    r"""Return `value` as JSON in UTF-8 with a newline.

    A file name need not be valid text; what of it is none becomes a JSON escape. NaN and infinity
    are refused.

    Example:
        >>> to_json({"path": "caf\udce9.png"})
        b'{"path": "caf\\udce9.png"}\n'
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode("utf-8", errors="backslashreplace")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as indented JSON, atomically. NaN and infinity are refused."""
    with replacing(path) as temporary:
        temporary.write_bytes(to_json(value, indent=2))
