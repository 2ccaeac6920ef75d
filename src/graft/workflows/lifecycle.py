"""The life of a run folder: who holds it, how a run begins, ends and is taken up again."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from graft.errors import DataError, GraftError, RecipeError
from graft.files import locked, sweep, wrap_os_errors, writable_path
from graft.run import Run, keep_lines, now, this_process
from graft.training.checkpoints import Checkpoints


@contextmanager
def new_run(
    out: str | os.PathLike[str], *, seed: int, write: Callable[[Run], None]
) -> Iterator[Run]:
    """Begin a run and hold its folder for this process.

    Args:
        out: New, or an empty folder, or what a killed start left.
        seed: The run's seed.
        write: Writes recipe and split into the folder.

    Raises:
        RecipeError: There is something in the folder, or another process holds it.
        ResourceError: The disk is full or the place cannot be written.
    """
    Run.refuse_taken(out)
    folder = Path(out)
    with wrap_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with _held(folder):
        try:
            run = Run.create(folder, seed=seed, write=write)
        except BaseException:
            with contextlib.suppress(OSError):
                folder.rmdir()  # if nothing is in it
            raise
        yield run


@contextmanager
def resumed_run(out: str | os.PathLike[str], verb: str) -> Iterator[Run]:
    """Take up a run where a kill or an interrupt left it, and hold its folder for this process.

    What the process before left half written is removed, and what it had written after its last
    checkpoint is forgotten, since it will be written again.

    Args:
        out: The run folder.
        verb: `fit` or `pretrain`, for the advice.

    Raises:
        DataError: There is no run, it is damaged, or it was killed before it had begun.
        RecipeError: Another process holds it.
    """
    run = Run.open(writable_path(out))
    with _held(run.folder):
        if not run.has_begun():
            raise DataError(
                f"The run in '{out}' was stopped before it had begun.",
                f"Start it again, with all its options and without --resume: graft {verb} …",
            )
        for folder in (run.folder, run.model):
            sweep(folder)
        position = Checkpoints(run.checkpoints).recover()
        if run.state().get("state") != "done":
            for lines in (run.metrics, run.steps):
                keep_lines(lines, -1 if position is None else position.step)
        yield run


@contextmanager
def recorded(run: Run, verb: str, message: Callable[[str], None]) -> Iterator[None]:
    """Leave `run.json` saying how the run ended, whatever ends it."""
    run.update(state="running", error=None, process=this_process())
    try:
        yield
    except KeyboardInterrupt:
        _ended(run, state="interrupted")
        message(f"Continue with: graft {verb} --resume --out {shlex.quote(str(run.folder))}")
        raise
    except BaseException as error:
        _ended(run, state="failed", error=str(error))
        raise


def _ended(run: Run, **changes: Any) -> None:
    # On a full disk this fails as well; the first error is the one to report.
    with contextlib.suppress(GraftError, OSError):
        if run.state().get("state") != "done":  # only its report may be missing then
            run.update(finished=now(), **changes)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            with wrap_os_errors(folder):
                stack.enter_context(locked(folder))
        except GraftError as error:
            if not isinstance(error.__cause__, BlockingIOError):
                raise
            raise RecipeError(
                f"'{folder}' is in use: {_holder(folder)} is working on this run.",
                "Wait until it has ended or stop it, or choose another --out.",
            ) from None
        yield


def _holder(folder: Path) -> str:
    with contextlib.suppress(DataError):
        process = Run(folder).state().get("process")
        if isinstance(process, dict):
            return f"process {process.get('pid')} on {process.get('host')}"
    return "another process"
