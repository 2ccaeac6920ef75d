"""`graft cache ls|clear`: says what there is, and removes nothing but what the cache made."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from graft.cache.storage import DiskStorage
from graft.cache.store import Store
from graft.report.tables import amount, print_cache

DAY = 86400
OTHERS = (
    "checkpoints/resnet18-f37072fd.pth",
    "datasets/beans-0123456789abcdef/data.parquet",
    "features/notes.txt",
    f"features/{'a' * 64}/theirs.bin",
    "engines/readme.md",
    "notes/mine.json",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A cache of two entries and what an earlier Graft kept, among files of others."""
    root = tmp_path / "cache"
    for cut, augmentation, rows, days in (("head", None, 397, 1), ("stage4", "Basic()", 976, 40)):
        facts = {
            "backbone": "torchvision:mobilenet_v2",
            "cut": cut,
            "augmentation": augmentation,
            "seed": 7,
            "preprocess": {"image_size": [224, 224]},
        }
        entry = DiskStorage(Store(root / "features"), facts, 64)
        ids = [f"{row}:0" for row in range(rows)]
        entry.add(ids, np.zeros((rows, 64), dtype=np.float32))
        age(entry.folder / "entry.json", days)
    for name in (*OTHERS, f"engines/{'b' * 64}.onnx", f"notes/{'c' * 64}.outline.json"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(bytes(1000))
    return root


def age(path: Path, days: float) -> None:
    os.utime(path, (time.time() - days * DAY,) * 2)


def contents(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_a_table_says_what_there_is(graft_cli, root):
    outcome = graft_cli("cache", "ls", "--cache", root)
    assert (outcome.code, outcome.out) == (0, "")
    text = " ".join(outcome.err.split())
    [head, stage4] = Store(root / "features").entries()[::-1]
    for words in (
        f"mobilenet_v2 head 224 px, clean 397 {amount(head.bytes)} 1 day ago",
        f"mobilenet_v2 stage4 224 px, augmented, seed 7 976 {amount(stage4.bytes)} 40 days ago",
        f"2 entries, {amount(head.bytes + stage4.bytes)} of at most",
    ):
        assert words in text


def test_json_says_it_too(graft_cli, root):
    found = json.loads(graft_cli("cache", "ls", "--cache", root, "--json").out)
    assert found["cache"] == str(root)
    assert [entry["facts"]["cut"] for entry in found["entries"]] == ["head", "stage4"]
    assert [entry["rows"] for entry in found["entries"]] == [397, 976]
    assert found["bytes"] == sum(entry["bytes"] for entry in found["entries"])
    assert found["limit"] > 0


def test_clearing_removes_what_the_cache_made_and_nothing_else(graft_cli, root):
    before = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    found = json.loads(graft_cli("cache", "clear", "--cache", root, "--json").out)
    after = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    assert contents(root) == set(OTHERS)
    assert found == {"cache": str(root), "entries": 2, "bytes": before - after}
    assert "Nothing to clear" in graft_cli("cache", "clear", "--cache", root).err
    assert "Nothing is kept" in graft_cli("cache", "ls", "--cache", root).err


def test_clearing_says_what_was_freed(graft_cli, root):
    kept = Store(root / "features").usage() + 2000
    outcome = graft_cli("cache", "clear", "--cache", root)
    assert (outcome.code, outcome.out) == (0, "")
    assert f"Freed {amount(kept)}: 2 entries" in outcome.err


def test_only_what_is_old_can_be_cleared(graft_cli, root):
    age(root / "engines" / f"{'b' * 64}.onnx", 31)
    age(root / "notes" / f"{'c' * 64}.outline.json", 29)
    found = json.loads(
        graft_cli("cache", "clear", "--cache", root, "--older-than", 30, "--json").out
    )
    assert found["entries"] == 1
    assert not (root / "engines" / f"{'b' * 64}.onnx").exists()
    assert (root / "notes" / f"{'c' * 64}.outline.json").exists()
    [left] = json.loads(graft_cli("cache", "ls", "--cache", root, "--json").out)["entries"]
    assert left["facts"]["cut"] == "head"


@pytest.mark.parametrize("action", ["ls", "clear"])
def test_an_absent_folder_is_an_empty_cache_and_stays_absent(graft_cli, tmp_path, action):
    outcome = graft_cli("cache", action, "--cache", tmp_path / "none", "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out)["bytes"] == 0
    assert not (tmp_path / "none").exists()


def test_the_users_cache_is_meant_where_none_is_named(graft_cli, root, monkeypatch):
    monkeypatch.setenv("GRAFT_CACHE", str(root))
    assert len(json.loads(graft_cli("cache", "ls", "--json").out)["entries"]) == 2


def test_a_cache_that_is_off_can_still_be_looked_at(graft_cli, tmp_path, monkeypatch):
    monkeypatch.setenv("GRAFT_CACHE", "off")
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    assert str(tmp_path) in json.loads(graft_cli("cache", "ls", "--json").out)["cache"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lst"], "Choose one of 'ls'"),
        (["ls", "--older-than", "3"], "--older-than"),
        (["ls", "--cache", "off"], "names no folder"),
        (["clear", "--cache", __file__], "is no folder"),
        (["clear", "--older-than", "-1"], "not a number of days"),
        (["clear", "--older-than", "nan"], "not a number of days"),
        (["clear", "--older-than", "soon"], "older-than"),
    ],
)
def test_what_cannot_be_meant_ends_with_code_2_and_the_way_out(graft_cli, arguments, words):
    outcome = graft_cli("cache", *arguments)
    assert outcome.code == 2, outcome.err
    assert outcome.out == ""
    assert words in outcome.err
    assert "Traceback" not in outcome.err


def test_what_may_not_be_removed_is_named_and_the_rest_is_gone(graft_cli, root, monkeypatch):
    unlink = Path.unlink

    def refuse(path, *, missing_ok=False):
        if path.suffix == ".onnx":
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    outcome = graft_cli("cache", "clear", "--cache", root)
    assert outcome.code == 4
    assert "bbb.onnx' cannot be removed: Permission denied" in outcome.err
    assert contents(root) == {*OTHERS, f"engines/{'b' * 64}.onnx"}


def test_damaged_facts_are_shown_as_unknown(graft_cli, root):
    for path in root.glob("features/*/entry.json"):
        path.write_text("{")
    outcome = graft_cli("cache", "ls", "--cache", root)
    assert outcome.code == 0
    assert "–" in outcome.err
    assert len(json.loads(graft_cli("cache", "ls", "--cache", root, "--json").out)["entries"]) == 2


def test_it_loads_neither_torch_nor_anything_slow(root):
    code = (
        "import sys\nfrom graft.cli.main import main\n"
        f"try: main(['cache', 'ls', '--cache', {str(root)!r}])\nexcept SystemExit: pass\n"
        "slow = {'torch', 'torchvision', 'timm', 'PIL', 'numpy'}\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "mobilenet_v2" in done.stderr


def entry(**facts: object) -> dict[str, object]:
    return {
        "key": "0" * 64,
        "facts": facts,
        "rows": 1_000_000,
        "bytes": 123 << 30,
        "last_used": "2030-01-01T00:00:00+00:00",
    }


def test_the_table_fits_80_columns_and_hostile_names_are_words():
    console = Console(file=io.StringIO(), width=80, highlight=False)
    entries = [
        entry(backbone="timm:vit_base_patch16_siglip_gap_512.v2_webli", cut="stage12",
              preprocess={"image_size": [512, 384]}, augmentation="x", precision="bf16"),
        entry(backbone="[bold]\x1b[31mred", cut=None, preprocess="?", augmentation=None),
    ]  # fmt: skip
    found = {
        "cache": "somewhere",
        "entries": entries,
        "bytes": 246 << 30,
        "limit": 20 << 30,
    }
    print_cache(found, console, datetime(2030, 1, 1, 5, tzinfo=timezone.utc))
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert "[bold]\\x1b[31mred" in text
    assert "…" not in text
    assert "5 h ago" in text
