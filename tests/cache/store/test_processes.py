"""Real processes share a cache: they add the same rows at once, and clear what others use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from graft.cache.store.store import Store

COMMON = """
import sys
import numpy as np
from pathlib import Path
from graft.cache.store import housekeeping
from graft.cache.store.store import Store

root = Path(sys.argv[1])

def rows_of(ids):
    return np.array([np.full(50, int(row.partition(":")[0])) for row in ids], dtype=np.float32)

def open_entry():
    return Store(root).entry({"cut": "head"}, 50)
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
    for holding in housekeeping.holdings(root):
        cleared += housekeeping.remove(holding.path) > 0
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
    rows, right = Store(tmp_path).entry({"cut": "head"}, 50).read(ids)
    assert right.tolist() == [True] * 105 + [False]
    assert (rows[:105, 0] == np.arange(105)).all()
    assert not list(tmp_path.rglob("*.tmp"))


def test_clearing_a_cache_in_use_disturbs_nobody(tmp_path):
    run_together(tmp_path, (USE,), (USE,), (CLEAR,))
