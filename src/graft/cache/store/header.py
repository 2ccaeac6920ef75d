"""The head of a shard: whose rows it holds, how many, and where in the file they lie."""

from __future__ import annotations

import struct
from typing import NamedTuple

from graft.cache.store.keys import NAME_BYTES

MAGIC = b"graft-1\n"
SUM_BYTES = 4
ALIGNMENT = 64

_FIXED = struct.Struct("<8s32sQQ8sQ")


class Header(NamedTuple):
    """What a shard says of itself.

    The file holds it, then a name for each row, a CRC-32 for each block of rows, a CRC-32 of all
    that, and the rows.

    Args:
        key: Of the entry that the rows belong to, in 64 hexadecimal digits.
        rows: How many there are, at least one.
        size: Numbers per row, at least one.
        dtype: Of the numbers, as NumPy writes it: `"<f4"`.
        block: Rows that share a checksum; the last block may have fewer.

    Example:
        >>> header = Header("0" * 64, rows=3, size=10, dtype="<f4", block=2)
        >>> header.row_bytes, header.blocks, header.start, header.file_bytes
        (40, 2, 192, 312)
        >>> Header.unpack(header.pack()) == header
        True
    """

    key: str
    rows: int
    size: int
    dtype: str
    block: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.size * int(self.dtype[2:])

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-self.rows // self.block)

    @property
    def checked_bytes(self) -> int:
        """Bytes before the checksum of header, names and sums."""
        return _FIXED.size + self.rows * NAME_BYTES + self.blocks * SUM_BYTES

    @property
    def start(self) -> int:
        """Where in the file the rows begin."""
        return -(-(self.checked_bytes + SUM_BYTES) // ALIGNMENT) * ALIGNMENT

    @property
    def file_bytes(self) -> int:
        """Size of the whole file."""
        return self.start + self.rows * self.row_bytes

    def pack(self) -> bytes:
        """Return the bytes that the file begins with."""
        key, dtype = bytes.fromhex(self.key), self.dtype.encode("ascii")
        return _FIXED.pack(MAGIC, key, self.rows, self.size, dtype, self.block)

    @classmethod
    def unpack(cls, data: bytes) -> Header:
        """Read the first `HEADER_BYTES` of a file.

        Raises:
            ValueError: They do not begin a shard.
        """
        if len(data) != _FIXED.size or not data.startswith(MAGIC):
            raise ValueError("no shard")
        _, key, rows, size, dtype, block = _FIXED.unpack(data)
        header = cls(key.hex(), rows, size, dtype.rstrip(b"\0").decode("ascii"), block)
        if not (rows and size and block and header.dtype[2:].isdecimal()):
            raise ValueError("no shard")
        return header


HEADER_BYTES = _FIXED.size
