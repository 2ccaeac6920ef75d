"""Real processes share a cache: they add the same rows at once, and clear what others use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from graft.cache.storage import DiskStorage
from graft.cache.store import Store

COMMON = """
import sys
import numpy as np
from pathlib import Path
from graft.cache.storage import DiskStorage
from graft.cache.store import Store, remove_entry

root = Path(sys.argv[1])

def rows_of(ids):
    return np.array([np.full(50, int(row.partition(":")[0])) for row in ids], dtype=np.float32)

def open_entry():
    return DiskStorage(Store(root), {"cut": "head"}, 50)
"""

ADD = """
first = int(sys.argv[2])
entry = open_entry()
print(flush=True)
input()
for number in range(first, first + 60, 3):
    ids = [f"{number + offset}:0" for offset in range(3)]
    assert entry.add(ids, rows_of(ids)), entry.refused
    rows, right = entry.read(ids)
    assert right.all() and (rows == rows_of(ids)).all()
"""

USE = """
print(flush=True)
input()
ids = [f"{number}:0" for number in range(20)]
done = False
while not done:
    done = (root / "done").exists()
    entry = open_entry()
    for _ in range(10):
        entry.add(ids, rows_of(ids))
        rows, right = entry.read(ids)
        assert (rows[right] == rows_of(ids)[right]).all()
entry = open_entry()
assert entry.add(ids, rows_of(ids)) and entry.read(ids)[1].all()
"""

CLEAR = """
print(flush=True)
input()
cleared = 0
while cleared < 50:
    for item in Store(root).entries():
        cleared += remove_entry(item.path) > 0
(root / "done").touch()
"""


def run_together(root: Path, *scripts: tuple[str, ...]) -> None:
    """Run scripts, which wait for each other before they begin."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", COMMON + script, str(root), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for script, *arguments in scripts
    ]
    for process in running:
        process.stdout.readline()
    for process in running:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in running:
        _, errors = process.communicate()
        assert process.returncode == 0, errors


def test_two_processes_add_overlapping_rows_at_once(tmp_path):
    run_together(tmp_path, (ADD, "0"), (ADD, "30"), (ADD, "45"))
    ids = [f"{number}:0" for number in range(106)]
    rows, right = DiskStorage(Store(tmp_path), {"cut": "head"}, 50).read(ids)
    assert right.tolist() == [True] * 105 + [False]
    assert (rows[:105, 0] == np.arange(105)).all()
    assert not list(tmp_path.rglob("*.tmp"))


def test_clearing_a_cache_in_use_disturbs_nobody(tmp_path):
    run_together(tmp_path, (USE,), (USE,), (CLEAR,))


def test_temporary_files_of_killed_processes_are_swept_and_those_in_use_are_not(tmp_path):
    code = (
        COMMON
        + "from graft.cache.store import write_atomically\n"
        + "def parts():\n"
        + "    yield b'half'\n"
        + "    print(flush=True)\n"
        + "    input()\n"
        + "    yield b' and whole'\n"
        + "write_atomically(root / ('0' * 32 + '.safetensors'), parts())\n"
    )
    folder = tmp_path / ("f" * 64)
    folder.mkdir()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        process.stdout.readline()
    assert Store(tmp_path).sweep() == 0, "both are still writing"
    processes[0].kill()
    processes[0].communicate()
    assert len(list(folder.glob(".*.tmp"))) == 2
    assert Store(tmp_path).sweep() == len(b"half")
    processes[1].communicate("\n")
    assert [path.read_bytes() for path in folder.iterdir()] == [b"half and whole"]
