"""Freed memory is kept for training alone, and not where that is switched off."""

from __future__ import annotations

import subprocess
import sys

import pytest

from graft import host as allocator
from graft.host import keep_freed_memory

# The blocks of malloc that lie in mappings of their own: none once freed memory is kept.
MAPPED = """
import ctypes
class Mallinfo2(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
        "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]
libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Mallinfo2
libc.malloc.restype = ctypes.c_void_p
before = libc.mallinfo2().hblks
libc.malloc(ctypes.c_size_t(64 << 20))
print("kept" if libc.mallinfo2().hblks == before else "given back")
"""
PREDICT = """
import graft, numpy as np
backbone = graft.load_backbone("graft-small", image_size=32)
model = graft.Classifier(backbone, graft.LinearHead(backbone.width, 2), ["a", "b"])
model.predict(np.zeros((32, 32, 3), np.uint8))
"""

glibc = pytest.mark.skipif(not keep_freed_memory(), reason="another C library")


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@glibc
def test_it_holds_for_the_process():
    ask = "from graft.host import keep_freed_memory\nassert keep_freed_memory()\n"
    assert run(MAPPED) == "given back"
    assert run(ask + MAPPED) == "kept"


def test_a_variable_switches_it_off(monkeypatch):
    monkeypatch.setattr(allocator, "_asked", lambda: pytest.fail("asked"))
    monkeypatch.setenv("GRAFT_KEEP_MEMORY", "0")
    assert not keep_freed_memory()


@glibc
def test_using_a_model_leaves_the_memory_of_the_process_alone():
    assert run(PREDICT + MAPPED) == "given back"
