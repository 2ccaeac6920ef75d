"""What a shell offers after TAB, and what `--help` says may follow."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

GRAFT = [sys.executable, "-m", "graft"]


def offered(*words):
    """Return what Bash would offer for the last word."""
    asked = {
        "_GRAFT_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(("graft", *words)),
        "COMP_CWORD": str(len(words)),
    }
    done = subprocess.run(
        GRAFT, capture_output=True, text=True, check=True, env={**os.environ, **asked}
    )
    return done.stdout.split()


def test_verbs_are_offered():
    assert offered("ca") == ["cache"]
    assert {"fit", "predict", "samples"} <= set(offered(""))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("cache", ""), {"ls", "clear"}),
        (("samples", "digits"), {"digits", "digits-m"}),
        (("fit", "--optim"), {"--optimizer"}),
        (("fit", "--optimizer", "adam"), {"adam", "adamw"}),
        (("zoo", "--sort", ""), {"name", "top1", "params", "flops"}),
        (("cache", "clear", "--old"), {"--older-than"}),
    ],
)
def test_commands_flags_and_choices_are_offered(words, expected):
    assert set(offered(*words)) == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(shell):
    done = subprocess.run(
        GRAFT,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "_GRAFT_COMPLETE": f"source_{shell}"},
    )
    assert f"complete_{shell}" in done.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no Bash here")
def test_bash_itself_completes_after_reading_the_script(tmp_path):
    graft = tmp_path / "graft"
    graft.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m graft "$@"\n')
    graft.chmod(0o755)
    lines = (
        'eval "$(_GRAFT_COMPLETE=source_bash graft)"',
        "COMP_WORDS=(graft cache c)",
        "COMP_CWORD=2",
        "$(complete -p graft | sed 's/.*-F //; s/ .*//') graft c cache",
        'echo "${COMPREPLY[@]}"',
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", "\n".join(lines)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
    )
    assert done.stdout.split() == ["clear"], done.stderr


def test_fixed_choices_are_shown_in_help(graft_cli):
    text = " ".join(graft_cli("fit", "--help").out.replace("│", " ").split())
    assert "sgd|adam|adamw" in text
    assert "none|balanced" in text
    assert "name|top1|params|flops" in graft_cli("zoo", "--help").out
    assert "train|val|test" in graft_cli("evaluate", "--help").out


@pytest.mark.parametrize(
    ("group", "command", "word"),
    [("cache", "clear", "--older-than"), ("samples", "digits-m", "china.jpg")],
)
def test_commands_of_a_verb_have_help_of_their_own(graft_cli, group, command, word):
    listed = graft_cli(group, "--help")
    assert listed.code == 0
    assert command in listed.out
    assert word not in listed.out
    outcome = graft_cli(group, command, "--help")
    assert outcome.code == 0
    assert word in outcome.out
    assert graft_cli(group).code == 2


def test_an_unknown_command_of_a_verb_gets_the_nearest(graft_cli):
    outcome = graft_cli("cache", "list")
    assert outcome.code == 2
    assert "'ls'" in outcome.err
