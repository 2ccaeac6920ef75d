"""`graft samples`: one JSON document, exit codes, and nothing slow."""

from __future__ import annotations

import json
import subprocess
import sys


def test_json_says_what_was_written(graft_cli, tmp_path):
    outcome = graft_cli("samples", "digits", tmp_path / "digits", "--json")
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    assert document["images"] == {"train": 719, "val": 179, "test": 899}
    assert document["path"] == str(tmp_path / "digits")
    assert len(list((tmp_path / "digits").glob("test/*/*.png"))) == 899


def test_without_json_standard_output_is_empty(graft_cli, tmp_path):
    outcome = graft_cli("samples", "digits", tmp_path / "digits")
    assert outcome.out == ""
    assert "CC BY 4.0" in outcome.err
    assert "graft fit" in outcome.err


def test_a_folder_in_use_or_an_unknown_name_exits_with_2(graft_cli, tmp_path):
    (tmp_path / "mine.txt").touch()
    assert graft_cli("samples", "digits", tmp_path).code == 2
    outcome = graft_cli("samples", "beetles", tmp_path / "b")
    assert outcome.code == 2
    assert "hymenoptera" in outcome.err


def test_offline_ants_and_bees_exit_with_4_and_a_way_out(graft_cli, tmp_path, monkeypatch):
    monkeypatch.setenv("GRAFT_CACHE", str(tmp_path / "cache"))
    outcome = graft_cli("samples", "hymenoptera", tmp_path / "h", "--offline")
    assert outcome.code == 4
    assert "graft samples digits" in outcome.err
    assert not (tmp_path / "h").exists()


def test_writing_digits_needs_no_torch(tmp_path):
    code = (
        "import sys\nfrom graft.cli.main import main\n"
        f"try: main(['samples', 'digits', {str(tmp_path / 'd')!r}])\n"
        "except SystemExit as end: assert not end.code\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
