"""The folder of all activations: what it holds, what of it may go, how much there may be.

    features/KEY/entry.json         what an entry is, for people; its time stamp is the last use
    features/KEY/NAME.safetensors   a shard: activations that were written together
    features/KEY/.NAME.tmp          a file that is being written, or was when its process died

KEY is 64 and NAME 32 hexadecimal digits. Any other file belongs to somebody else and is left alone.
NumPy is not imported, because `graft cache ls` does without.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import stat
import sys
import time
import uuid
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from io import FileIO
from pathlib import Path
from typing import Any

if sys.platform != "win32":
    import fcntl

FACTS = "entry.json"
KEY = re.compile(r"[0-9a-f]{64}")
SHARD = re.compile(r"[0-9a-f]{32}\.(safetensors|rows)")  # .rows: of the format before
TEMPORARY = re.compile(r"\.[0-9a-f]{32}\.tmp")
_READ_REGULAR = sum(
    (getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOFOLLOW", "O_BINARY")), os.O_RDONLY
)
BY_KEY = re.compile(r"[0-9a-f]{64}(\.[0-9a-z]+)+")

_MOST_HEADER_BYTES = 512

MOST_BYTES = 20 << 30
MOST_SHARE = 0.1


@dataclass(frozen=True)
class Item:
    """An entry, an engine or a note: its path, named by its key, size and last use.

    Args:
        path: Where it lies.
        bytes: Of the cache's own files in it.
        last_used: In seconds since 1970.
    """

    path: Path
    bytes: int
    last_used: float


class Store:
    """A folder of entries that several processes share; `DiskStorage` reads and writes one of them.

    Args:
        root: The folder, such as `graft.user_cache.feature_cache()`; it need not exist.

    Attributes:
        in_use: Keys of entries that this process uses, which it never evicts.

    Example:
        >>> import tempfile
        >>> store = Store(tempfile.mkdtemp())
        >>> store.usage(), store.entries()
        (0, [])
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        self.in_use: set[str] = set()

    def entries(self) -> list[Item]:
        """Return all entries, least recently used first.

        Raises:
            OSError: The folder may not be read.
        """
        found = []
        for item in _listing(self.root):
            if KEY.fullmatch(item.name) and item.is_dir(follow_symlinks=False):
                files = dict(own_files(Path(item.path)))
                if files:
                    # Without a stamp, the youngest of its files says when it was in use.
                    used = files.get(FACTS) or max(files.values(), key=lambda info: info.st_mtime)
                    size = sum(info.st_size for info in files.values())
                    found.append(Item(Path(item.path), size, used.st_mtime))
        return sorted(found, key=lambda item: (item.last_used, item.path.name))

    def usage(self, only: Container[str] | None = None) -> int:
        """Return the bytes of all entries, or of those with some keys; 0 if none may be read."""
        with suppress(OSError):
            found = self.entries()
            return sum(item.bytes for item in found if only is None or item.path.name in only)
        return 0

    def limit(self) -> int:
        """Return the bytes that entries may take: 20 GiB, or 10 % of what the disk could give."""
        free = 0
        with suppress(OSError, StopIteration):
            place = next(filter(Path.is_dir, (self.root, *self.root.absolute().parents)))
            free = shutil.disk_usage(place).free
        return min(MOST_BYTES, int(MOST_SHARE * (free + self.usage())))

    def room(self) -> int:
        """Return the bytes that the entries in use may still grow by, once others made way."""
        return max(0, self.limit() - self.usage(only=self.in_use))

    def evict(self, limit_bytes: int | None = None) -> int:
        """Remove the least recently used entries until the rest is within a limit.

        Entries in use stay; temporary files of dead processes go in any case. Nothing here fails:
        what cannot be removed stays.

        Args:
            limit_bytes: None takes `limit()`.

        Returns:
            The bytes that were freed.
        """
        freed, most = self.sweep(), self.limit() if limit_bytes is None else limit_bytes
        with suppress(OSError):
            found = self.entries()
            excess = sum(item.bytes for item in found) - most
            for item in found:
                if excess > 0 and item.path.name not in self.in_use:
                    with suppress(OSError):
                        gone = remove_entry(item.path)
                        excess, freed = excess - gone, freed + gone
        return freed

    def sweep(self) -> int:
        """Remove what dead processes left half written, and return the bytes that were freed."""
        freed = 0
        with suppress(OSError):
            for folder in (self.root, *(item.path for item in self.entries())):
                for name, _ in own_files(folder):
                    if TEMPORARY.fullmatch(name):
                        with suppress(OSError), open_regular(folder / name) as file:
                            _lock(file)
                            freed += remove_file(folder / name)
        return freed

    def measure_disk(self) -> tuple[float, float]:
        """Return the seconds that writing and reading one byte take, through the system's cache.

        Where the folder cannot be written, both are 0.
        """
        path, block, count = _temporary(self.root), os.urandom(1 << 20), 8
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            started = time.perf_counter()
            with path.open("wb", buffering=0) as file:
                for _ in range(count):
                    file.write(block)
            written = time.perf_counter()
            with path.open("rb", buffering=0) as file:
                while file.read(len(block)):
                    pass
            read = time.perf_counter()
        except OSError:
            return 0.0, 0.0
        finally:
            with suppress(OSError):
                path.unlink()
        return (written - started) / (count << 20), (read - written) / (count << 20)


def key_of(facts: Mapping[str, Any]) -> str:
    """Return the key of facts: the SHA-256 of their canonical JSON in 64 hexadecimal digits.

    Args:
        facts: JSON values by name, nested to any depth; a tuple counts as a list.

    Raises:
        TypeError: A value, or a name at any depth, is none of JSON.
        ValueError: A number is not finite.

    Example:
        >>> key_of({"cut": "stage4", "seed": 0}) == key_of({"seed": 0, "cut": "stage4"})
        True
    """
    _refuse_other_names(facts)
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return sha256(text.encode("ascii")).hexdigest()


def describe_entry(folder: Path) -> dict[str, Any]:
    """Return the facts of an entry, as far as they can be read."""
    with suppress(OSError, ValueError, RecursionError), open_regular(folder / FACTS) as file:
        found = json.loads(file.read(1 << 20), parse_constant=_refuse)
        return found if isinstance(found, dict) else {}
    return {}


def count_images(folder: Path) -> int:
    """Return how many images' activations an entry holds, by the headers of its shards."""
    count = 0
    for name, _ in own_files(folder):
        if SHARD.fullmatch(name):
            with suppress(OSError, ValueError), open_regular(folder / name) as file:
                count += read_header(file)[1]
    return count


def files_by_key(root: Path) -> list[Item]:
    """Return the files of a folder that an earlier Graft wrote, least recently used first.

    Raises:
        OSError: The folder may not be read.
    """
    found = [
        Item(root / name, info.st_size, info.st_mtime)
        for name, info in _files(root)
        if BY_KEY.fullmatch(name) or TEMPORARY.fullmatch(name)
    ]
    return sorted(found, key=lambda item: (item.last_used, item.path.name))


def remove_entry(folder: Path) -> int:
    """Remove an entry and return the bytes that were freed; what is not the cache's own stays.

    Raises:
        OSError: A file may not be removed.
    """
    # The facts go last: until then, people can see what the rest is.
    names = sorted((name for name, _ in own_files(folder)), key=lambda name: name == FACTS)
    freed = sum(remove_file(folder / name) for name in names)
    with suppress(OSError):  # somebody else's file, or a shard that came just now
        folder.rmdir()
    return freed


def remove_file(path: Path) -> int:
    """Remove a file and return the bytes that were freed.

    Raises:
        OSError: It may not be removed.
    """
    with suppress(FileNotFoundError):
        size = path.stat(follow_symlinks=False).st_size
        path.unlink()
        return size
    return 0


def own_files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the name and state of every file of an entry's folder that the cache wrote."""
    for name, info in _files(folder):
        if name == FACTS or SHARD.fullmatch(name) or TEMPORARY.fullmatch(name):
            yield name, info


def read_header(file: FileIO) -> tuple[int, int, int]:
    """Read the header of a shard.

    Returns:
        Its length in bytes, the number of images, and numbers per image.

    Raises:
        ValueError: The file is not a shard, or does not have the length in its header.
        OSError: The file cannot be read or written.
    """
    start = file.read(_MOST_HEADER_BYTES)
    try:
        length = 8 + int.from_bytes(start[:8], "little")
        count, width = json.loads(start[8:length])["values"]["shape"]
        right = start[:length] == pack_header(count, width)
        right = right and os.fstat(file.fileno()).st_size == length + count * (4 * width + 16)
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
        raise ValueError("The file is no shard.") from error
    if not right:
        raise ValueError("The file is no shard, or cut short.")
    return length, count, width


def pack_header(count: int, width: int) -> bytes:
    """Return the beginning of a safetensors file of values (count, width), then names (count, 16).

    Example:
        >>> header = pack_header(3, 10)
        >>> len(header) % 64, b'"values":{"dtype":"F32","shape":[3,10]' in header
        (0, True)
    """
    middle, end = 4 * width * count, 4 * width * count + 16 * count
    values = {"dtype": "F32", "shape": [count, width], "data_offsets": [0, middle]}
    names = {"dtype": "U8", "shape": [count, 16], "data_offsets": [middle, end]}
    text = json.dumps({"values": values, "names": names}, separators=(",", ":")).encode("ascii")
    text += b" " * (-(8 + len(text)) % 64)
    return len(text).to_bytes(8, "little") + text


def open_regular(path: Path) -> FileIO:
    """Open a file for reading unless it is a pipe, a device, a folder or a link.

    Raises:
        OSError: It is, or what else the system says.
    """
    file = FileIO(os.open(path, _READ_REGULAR))
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise OSError(errno.EINVAL, "it is no regular file", str(path))


def write_atomically(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    """Write a file under a temporary name and rename it, so that nobody sees half of it.

    Nothing is fsynced, unlike in `graft.files`: after a loss of power a file may hold anything, but
    checksums find that out, and all that is lost can be made again.

    Raises:
        OSError: The file cannot be read or written.
    """
    temporary = _temporary(path.parent)
    try:
        with temporary.open("xb", buffering=0) as file:
            _lock(file)
            for part in parts:
                left = memoryview(part)
                while len(left):
                    left = left[file.write(left) :]
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _temporary(folder: Path) -> Path:
    return folder / f".{uuid.uuid4().hex}.tmp"


def _lock(file: FileIO) -> None:
    """Lock a temporary file until it is closed, by which `Store.sweep` knows those in use.

    Where files cannot be locked, or one is swept before it is, its writer writes it again.

    Raises:
        BlockingIOError: Another process is writing it.
    """
    if sys.platform != "win32":  # where no open file can be removed
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            return


def _listing(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda item: item.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield what lies in a folder and is none itself; links are not followed."""
    for item in _listing(folder):
        with suppress(FileNotFoundError):  # other processes remove files while they are listed
            if not item.is_dir(follow_symlinks=False):
                yield item.name, item.stat(follow_symlinks=False)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _refuse_other_names(value: Any) -> None:
    # json.dumps would write 1 and "1" alike, and different facts must never share a key.
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise TypeError(f"Facts have names that are text, not those of {value!r}.")
        value = list(value.values())
    if isinstance(value, list | tuple):
        for inner in value:
            _refuse_other_names(inner)
