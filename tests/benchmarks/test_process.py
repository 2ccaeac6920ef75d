import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.process import FailedError, run


def python(code, folder, environment=None):
    return run([sys.executable, "-c", code], environment or {}, folder)


def test_the_document_is_what_the_output_ends_with(tmp_path):
    code = """print('noise'); print('{"not": "this"}'); print('{"accuracy":'); print(' 0.5}')"""
    assert python(code, tmp_path).said == {"accuracy": 0.5}


def test_the_clock_covers_the_whole_process(tmp_path):
    assert python("import time; time.sleep(0.3)", tmp_path).seconds >= 0.3


def test_the_peak_is_that_of_this_one_process(tmp_path):
    # From a small process, as `python -m benchmarks` is: a child begins with its parent's peak.
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from benchmarks.process import run\n"
        "for code in ('pass', \"x = b'1' * 200_000_000\"):\n"
        "    print(run([sys.executable, '-c', code], {}, Path('.')).peak)\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=True)
    small, large = map(int, done.stdout.split())
    assert small < 100e6
    assert 200e6 < large < 400e6


def test_more_output_than_a_pipe_holds_does_not_stop_a_contestant(tmp_path):
    assert python("print('x' * 1_000_000); print('{}')", tmp_path).said == {}


def test_a_contestant_that_fails_says_why(tmp_path):
    with pytest.raises(FailedError, match=r"exit code 1: .*ValueError: too bad"):
        python("raise ValueError('too bad')", tmp_path)


def test_a_contestant_sees_only_the_given_variables(tmp_path):
    code = "import json, os; print(json.dumps({'mine': os.environ.get('MINE')}))"
    assert python(code, tmp_path, {"MINE": "yes"}).said == {"mine": "yes"}
