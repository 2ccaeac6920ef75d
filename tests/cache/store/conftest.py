"""Stores and rows to keep in them."""

from tests.cache.store.rows import entry, reopened, rows_of, shard_of, small_blocks

__all__ = ["entry", "reopened", "rows_of", "shard_of", "small_blocks"]
