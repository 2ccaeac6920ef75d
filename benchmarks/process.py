"""A contestant as a whole process: its wall time, its peak memory, what it printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TO_BYTES = 1 if sys.platform == "darwin" else 1024
_LAST_WORDS = 3


class FailedError(Exception):
    """A contestant did not finish, and these were its last words."""


@dataclass(frozen=True)
class Finished:
    """What a process did.

    Args:
        seconds: From its start to its end, imports included.
        peak: Most bytes of memory that it held at once.
        said: The JSON document that it printed; {} if it printed none.
        started: When, in seconds since the epoch.
    """

    seconds: float
    peak: int
    said: dict[str, Any]
    started: float = 0.0


def run(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Finished:
    """Run a command to its end.

    Args:
        command: Program and arguments.
        environment: All of its variables.
        folder: Where it runs.

    Raises:
        FailedError: It ended with an error.
    """
    # Files, because a pipe that nobody reads would make a talkative contestant wait.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        at, started = time.time(), time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=dict(environment), stdout=out, stderr=err
        )
        try:
            # Only wait4 tells the memory of this one child.
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        said, complaint = _text(out), _text(err)
    if process.returncode:
        raise FailedError(last_words(complaint or said, process.returncode))
    return Finished(seconds, usage.ru_maxrss * _TO_BYTES, last_document(said), at)


def last_document(text: str) -> dict[str, Any]:
    r"""Return the JSON object with which a text ends, whatever was printed before it.

    Example:
        >>> last_document('epoch 1: {"no": json\n{"accuracy": 0.9}\n')
        {'accuracy': 0.9}
    """
    lines = text.splitlines()
    for start in range(len(lines) - 1, -1, -1):
        if lines[start].startswith("{"):
            try:
                found = json.loads("\n".join(lines[start:]))
            except json.JSONDecodeError:
                continue
            if isinstance(found, dict):
                return found
    return {}


def last_words(text: str, code: int) -> str:
    r"""Return the last lines of what a failed process printed, without a traceback's marks.

    Example:
        >>> last_words("one\n^^^\ntwo", 3)
        'exit code 3: one / two'
    """
    lines = [line.strip() for line in text.strip().splitlines() if line.strip(" ^~")]
    return f"exit code {code}: " + " / ".join(lines[-_LAST_WORDS:])


def _text(file: Any) -> str:
    file.seek(0)
    return str(file.read().decode("utf-8", errors="replace"))
