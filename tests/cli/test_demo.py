"""`graft demo` on the command line: clean outputs, plain words without a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from graft.workflows import demo as module
from tests.workflows.test_demo import TINY


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setattr(module, "DIGITS", replace(module.DIGITS, **TINY))


def test_json_is_alone_on_standard_output_and_the_rest_is_plain(graft_cli, tmp_path):
    outcome = graft_cli("demo", "--out", tmp_path / "d", "--json")
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    assert document["state"] == "done"
    assert "\x1b" not in outcome.err
    for word in ("probe", "scratch", "95% interval", "graft-small", "other writers", "graft fit"):
        assert word in outcome.err
    assert outcome.err.count("Warning: Fewer than 5") == 1


def test_without_a_network_photographs_exit_with_4_and_a_way_out(graft_cli, tmp_path, monkeypatch):
    monkeypatch.setenv("GRAFT_OFFLINE", "1")
    monkeypatch.setenv("GRAFT_CACHE", str(tmp_path / "cache"))
    outcome = graft_cli("demo", "--photos", "--out", tmp_path / "d")
    assert (outcome.code, outcome.out) == (4, "")
    assert "Allow the network once" in outcome.err
    assert not (tmp_path / "d").exists()


def test_a_folder_in_use_exits_with_2(graft_cli, tmp_path):
    (tmp_path / "mine.txt").touch()
    assert graft_cli("demo", "--out", tmp_path).code == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
@pytest.mark.parametrize("no_colour", [False, True])
def test_on_a_terminal_it_is_drawn_with_colour_unless_that_is_unwanted(no_colour):
    code = (
        "from graft.cli.progress import Board\nfrom graft.cli.failing import err\n"
        "with Board(err()) as board:\n"
        "    board._progress.start()\n"
        "    board.on_strategy_begin('probe')\n"
        "    row = {'strategy': 'probe', 'test_accuracy': 0.5, 'test_images': 4}\n"
        "    board.on_strategy_end({**row, 'seconds': {'total': 1.0}})\n"
    )
    import pty

    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    if no_colour:
        environment["NO_COLOR"] = "1"
    subprocess.run([sys.executable, "-c", code], stderr=theirs, env=environment, check=True)
    os.close(theirs)
    drawn = b""
    while True:
        try:
            drawn += (block := os.read(ours, 1 << 16))
        except OSError:
            break
        if not block:
            break
    os.close(ours)
    assert b"50.0% of 4 test images" in drawn
    assert (b"\x1b[32m" in drawn) != no_colour


@pytest.mark.slow
def test_the_command_of_the_readme_runs(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "graft", "demo"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert (tmp_path / "graft-demo/demo.json").exists()
