"""Promises of the process: everything is written and everybody heard before it stops."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from graft.cli import process

GRAFT = [sys.executable, "-m", "graft"]


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program that ends by being `graft` with some arguments."""
    code += "\nfrom graft.cli.process import run\nrun()"
    # Streams that write every line at once would hide what is lost at the end.
    own = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=own,
    )


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--version"], 0),
        (["fit", "no-such-folder"], 3),
        (["fit", "--no-such-flag"], 2),
    ],
)
def test_the_exit_code_is_that_of_the_command(graft_cli, arguments, code):
    done = subprocess.run([*GRAFT, *arguments], capture_output=True, text=True, check=False)
    asked = graft_cli(*arguments)
    assert (done.returncode, done.stdout) == (asked.code, asked.out)
    assert done.returncode == code


def test_an_error_that_nobody_foresaw_has_its_traceback_and_exit_code_1():
    done = python(
        "import graft.cli.main as m\ndef broken(): print('so far'), 1 / 0\nm.main = broken"
    )
    assert (done.returncode, done.stdout) == (1, "so far\n")
    assert "ZeroDivisionError" in done.stderr


def test_who_registered_for_the_end_is_heard():
    done = python(
        "import atexit, graft.cli.main as m\n"
        "m.main = lambda: (atexit.register(print, 'the end'), sys.exit(7))\nimport sys"
    )
    assert (done.returncode, done.stdout) == (7, "the end\n")


def test_threads_that_still_work_are_waited_for():
    done = python(
        "import threading, time, sys, graft.cli.main as m\n"
        "work = lambda: (time.sleep(0.5), print('worked'))\n"
        "m.main = lambda: (threading.Thread(target=work).start(), sys.exit(0))"
    )
    assert (done.returncode, done.stdout) == (0, "worked\n")


def test_everything_printed_arrives_also_through_a_pipe():
    done = python(
        "import sys, graft.cli.main as m\nm.main = lambda: (print('x' * 1_000_000), sys.exit(0))"
    )
    assert len(done.stdout) == 1_000_001


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no broken pipe")
def test_a_reader_who_has_seen_enough_is_no_error():
    code = (
        "import os, sys, graft.cli.main as m\n"
        "nobody, pipe = os.pipe()\nos.close(nobody)\nos.dup2(pipe, 1)\n"
        "m.main = lambda: (print('unseen'), sys.exit(0))"
    )
    done = python(code)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_process_is_not_taken_apart():
    done = python(
        "class Told:\n def __del__(self): print('taken apart')\n"
        "import sys, graft.cli.main as m\n"
        "kept = Told()\nm.main = lambda: sys.exit(0)"
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_python_does_not_look_through_all_objects_while_torch_is_loaded():
    done = python(
        "import atexit, gc, sys, graft.cli.main as m\n"
        "def loads():\n"
        "  before = gc.get_stats()[2]['collections']\n"
        "  import torch\n"
        "  sys.exit(100 + gc.get_stats()[2]['collections'] - before)\n"
        "m.main = loads"
    )
    assert done.returncode == 100


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_output_that_cannot_be_written_is_an_error():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*GRAFT, "zoo", "resnet18", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 4
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no broken pipe")
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_work_goes_on_when_nobody_reads_any_more(stream, tmp_path):
    code = (
        "import os, sys, graft.cli.main as m\n"
        "nobody, pipe = os.pipe()\nos.close(nobody)\n"
        f"os.dup2(pipe, {1 if stream == 'stdout' else 2})\n"
        "def works():\n"
        f"  for _ in range(3): print('unseen', file=sys.{stream}, flush=True)\n"
        f"  open({str(tmp_path / 'done')!r}, 'w').close()\n"
        "  sys.exit(0)\n"
        "m.main = works"
    )
    done = python(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "done").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows closes no descriptors like these")
@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--help"], 0), (["zoo", "resnet18", "--json"], 0), (["predict", "nowhere", "-"], 2)],
)
def test_closed_streams_are_no_error_and_no_file_takes_their_place(closed, arguments, code):
    done = subprocess.run(
        [*GRAFT, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: [os.close(number) for number in closed],
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no broken pipe")
def test_help_for_a_reader_who_has_seen_enough_exits_0():
    process = subprocess.Popen(
        [*GRAFT, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate()
    assert (process.returncode, err) == (0, "")


def test_threads_that_wait_sleep_unless_the_user_chose_how_they_wait(monkeypatch):
    for name in process.WAITING:
        monkeypatch.setenv(name, "any")
        monkeypatch.delenv(name)
    process.sleep_while_waiting()
    assert os.environ["OMP_WAIT_POLICY"] == "passive"
    assert os.environ.pop("GOMP_SPINCOUNT") == "10000"
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    process.sleep_while_waiting()
    assert os.environ["OMP_WAIT_POLICY"] == "active"
    assert "GOMP_SPINCOUNT" not in os.environ


def test_the_waiting_policy_is_set_before_torch_is_imported():
    code = (
        "import os, sys\n"
        "from graft.cli import main, process\n"
        "main.main = lambda: print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)\n"
        "process.run()\n"
    )
    given = {name: value for name, value in os.environ.items() if name not in process.WAITING}
    done = subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, text=True)
    assert done.stdout.split() == ["passive", "False"], done.stderr
