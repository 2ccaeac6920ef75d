"""Published weights, fetched once into PyTorch's own cache."""

from __future__ import annotations

from pathlib import Path

import torch

from graft.download import download, promised_hash

__all__ = ["cached_download", "promised_hash"]


def cached_download(
    url: str,
    folder: Path | None = None,
    *,
    sha256: str | None = None,
    timeout: float = 20.0,
    attempts: int = 3,
) -> Path:
    """Return the local copy of a weights file, downloading it if there is none.

    Args:
        url: Where the file is, by http or https; see `graft.download.download`.
        folder: Where to keep it; default: the cache of `torch.hub`.
        sha256: SHA-256 of the file, or its beginning, where its name does not carry it.
        timeout: Seconds without a byte after which a connection counts as broken.
        attempts: How often to begin, in all, where a connection breaks or a server is busy.

    Raises:
        ResourceError: Graft is offline, the server fails, the checksum differs, or the disk is
            full.

    Example:
        >>> import tempfile
        >>> cache = Path(tempfile.mkdtemp())
        >>> _ = (cache / "tiny.pth").write_bytes(b"weights")
        >>> cached_download("https://example.org/tiny.pth", cache).read_bytes()
        b'weights'
    """
    return download(
        url,
        folder or Path(torch.hub.get_dir()) / "checkpoints",
        what="The pre-trained weights",
        otherwise="fetch the file elsewhere and pass it with --weights FILE",
        sha256=sha256,
        timeout=timeout,
        attempts=attempts,
    )
