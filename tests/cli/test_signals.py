"""A signal at any moment: exit code 130, one line that says so, and a state to use or resume."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

import graft
from graft.backbones.load import load_backbone
from tests.workflows.conftest import write_photos

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are those of Unix")

SMALL = ["--backbone=graft-small", "--image-size=16", "--batch-size=8", "--strategy=full"]
TINY = {
    **dict.fromkeys(("waves", "superformulas", "rosettes", "fractals", "strokes"), 1),
    "textures": 3,
    "image-size": 16,
    "images": 64,
    "batch-size": 16,
    "workers": 2,
}
PRETRAIN = [f"--{name}={value}" for name, value in TINY.items()]

SENDER = """
import os, signal, sys
MOMENT, LEFT, TIMES = {moment!r}, [signal.{name}] * {times}, {times}
imports = 0
def hook(event, arguments):
    if event not in ("import", "open") or not LEFT:
        return
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        return  # before Graft's first line nobody can answer but Python
    global imports
    imports += event == "import"
    opened = event == "open" and isinstance(MOMENT, str) and MOMENT in str(arguments[0])
    here = opened or (event == "import" and imports == MOMENT)
    if here or len(LEFT) < TIMES:
        os.kill(os.getpid(), LEFT.pop())
sys.addaudithook(hook)
signal.signal(signal.SIGINT, signal.default_int_handler)
"""
"""Sends itself a signal at the import of that number, or where a file of that name is opened, and a
second one at what is imported or opened next."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with photos and a model."""
    folder = tmp_path_factory.mktemp("signals")
    counts = {"train/red": 6, "train/blue": 6, "val/red": 3, "val/blue": 3, "test/red": 2}
    write_photos(folder / "photos", {**counts, "test/blue": 2})
    backbone = load_backbone("graft-small", pretrained=False, image_size=16)
    head = graft.LinearHead(backbone.width, 2)
    graft.Classifier(backbone, head, ("blue", "red")).save(folder / "model")
    return folder


def graft_process(*arguments, code="", cwd=None):
    """Run a program that ends by being `graft` with some arguments.

    It hears hang-ups, although these tests may run in the background, where nobody does.
    """
    code = f"import signal\nsignal.signal(signal.SIGHUP, signal.SIG_DFL)\n{code}"
    code += "\nfrom graft.cli.process import run\nrun()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
        cwd=cwd,
    )


def arguments(verb, place, out):
    return {
        "fit": ["fit", place / "photos", *SMALL, "--epochs=2", "--out", out],
        "pretrain": ["pretrain", *PRETRAIN, "--epochs=2", "--out", out],
        "predict": ["predict", place / "model", place / "photos"],
        "evaluate": ["evaluate", place / "model", place / "photos"],
        "samples": ["samples", "digits", out],
        "demo": ["demo", "--out", out],
        "cache": ["cache", "ls", "--cache", place],
        "zoo": ["zoo", "resnet18"],
    }[verb]


MOMENTS = {
    "fit": (
        *(1, 40, 400, 1200),
        *("photos/train/red/", "split.csv", "metrics.jsonl", "predictions.csv", "report.html"),
    ),
    "pretrain": (300, 1000, "recipe.yaml", "metrics.jsonl", "run.json", "state.json"),
    "predict": (1, 700, "model.json", "photos/val"),
    "evaluate": (700, "model.json", "photos/test"),
    "samples": (60, ".png"),
    "demo": (500, ".png", "predictions.csv"),
    "cache": (60,),
    "zoo": (60, 900),
}
"""The import of that number, or the file that is opened first: reading, training, writing."""

SAMPLE = {
    ("fit", 1, "SIGINT", 1),
    ("fit", 1200, "SIGHUP", 2),
    ("fit", "metrics.jsonl", "SIGTERM", 1),
    ("pretrain", 1000, "SIGHUP", 1),
    ("predict", 700, "SIGINT", 2),
    ("evaluate", "photos/test", "SIGHUP", 1),
    ("samples", ".png", "SIGINT", 1),
    ("zoo", 60, "SIGTERM", 1),
}
ALL = [
    (verb, moment, name, 1 + (number + turn) % 2)
    for verb, moments in MOMENTS.items()
    for number, moment in enumerate(moments)
    for turn, name in enumerate(("SIGINT", "SIGTERM", "SIGHUP"))
]


def interrupted(verb, moment, name, times, place, tmp_path):
    out = tmp_path / "out"
    code = SENDER.format(moment=moment, name=name, times=times)
    done = graft_process(*arguments(verb, place, out), code=code, cwd=tmp_path)
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr
    assert "Interrupted." in done.stderr.splitlines()
    if verb in ("fit", "pretrain"):
        again = graft_process(verb, "--resume", "--out", out)
        if again.returncode == 3:  # it had not begun
            again = graft_process(*arguments(verb, place, out))
        assert again.returncode == 0, again.stderr
        assert json.loads((out / "run.json").read_text())["state"] == "done"
    elif verb == "samples":
        assert not out.exists()
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("verb", "moment", "name", "times"), sorted(SAMPLE, key=str))
def test_a_signal_is_said_in_one_line_and_exits_130(verb, moment, name, times, place, tmp_path):
    interrupted(verb, moment, name, times, place, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("verb", "moment", "name", "times"), ALL)
def test_a_signal_at_many_moments_of_every_verb(verb, moment, name, times, place, tmp_path):
    interrupted(verb, moment, name, times, place, tmp_path)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_group_leaves_a_backbone_and_a_run_to_resume(sent, tmp_path):
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "graft",
            "pretrain",
            "--out",
            tmp_path / "run",
            *PRETRAIN,
            "--epochs=1000",
        ],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    metrics = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and metrics.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, sent)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Continue with: graft pretrain --resume" in said
    assert "Traceback" not in said
    assert json.loads((tmp_path / "run/run.json").read_text())["state"] == "interrupted"
    assert (tmp_path / "run/model/model.safetensors").exists()


def test_a_module_that_is_imported_when_a_signal_comes_is_imported_to_its_end(tmp_path):
    (tmp_path / "slow.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGHUP)\nfor _ in range(1000): pass\n"
        "print('whole', flush=True)\n"
    )
    code = (
        f"import sys, time, graft.cli.main as m\nsys.path.insert(0, {str(tmp_path)!r})\n"
        "def loads():\n"
        "  import slow\n"
        "  time.sleep(60)\n"
        "m.main = loads"
    )
    done = graft_process(code=code)
    assert (done.returncode, done.stdout, done.stderr) == (130, "whole\n", "Interrupted.\n")


def test_what_fails_after_a_signal_is_called_interrupted():
    code = (
        "import os, signal, sys, graft.cli.main as m\n"
        "def fails():\n"
        "  try: os.kill(os.getpid(), signal.SIGTERM); sum(range(10**6))\n"
        "  except KeyboardInterrupt: sys.exit(1)\n"
        "m.main = fails"
    )
    done = graft_process(code=code)
    assert (done.returncode, done.stderr) == (130, "Interrupted.\n")


def test_an_interrupt_that_meets_code_which_cannot_raise_it_comes_again():
    code = (
        "import signal, time, graft.cli.main as m\n"
        "class Dies:\n def __del__(self): signal.raise_signal(signal.SIGINT)\n"
        "def waits():\n"
        "  Dies()\n"
        "  time.sleep(60)\n"
        "m.main = waits\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)"
    )
    done = graft_process(code=code)
    assert (done.returncode, done.stderr) == (130, "Interrupted.\n")


def test_a_signal_that_was_to_be_ignored_is_ignored():
    code = (
        "import signal, sys, graft.cli.main as m\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "m.main = lambda: (signal.raise_signal(signal.SIGHUP), sys.exit(0))"
    )
    done = graft_process(code=code)
    assert (done.returncode, done.stderr) == (0, "")
