"""`graft` as a process of its own: its streams, its signals, its start and its end."""

from __future__ import annotations

import atexit
import errno
import gc
import io
import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Any

INTERRUPTED = 130
"""Exit code after Ctrl-C, SIGTERM or SIGHUP."""

NEW_BEFORE_COLLECTING = 50_000
"""Objects that are made before Python looks for garbage among them; its own default is 700."""

WAITING = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "10000"}
"""How threads wait for each other: after some microseconds of turning in a loop, asleep."""

NOBODY_READS = (errno.EPIPE, errno.EIO, errno.ECONNRESET)
"""What the system answers when the other end of a pipe, a terminal or a socket is gone."""


def run() -> None:
    """Run the command line in a process that is there for nothing else, and end the process.

    Importing torch makes 300,000 objects, all of which stay. To look for garbage among them while
    they are made, and to take them apart one by one at the end, was a third of a run that finds its
    features in the cache. So Python looks rarely; and once everybody who asked for it with `atexit`
    since then has been heard and all output is written, the process stops as it is.
    """
    signals = Signals()
    status = 1

    def end() -> None:
        os._exit(_written(status))

    try:
        atexit.register(end)  # the first to come is the last to be called: before any other import
        signals.install()
        gc.set_threshold(NEW_BEFORE_COLLECTING)
        sleep_while_waiting()
        open_streams()
        from graft.cli.main import main

        main()
    except SystemExit as ended:
        signals.ending = True
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        # Whatever failed after the signal; and what typer makes of one that no verb has caught.
        unsaid = isinstance(getattr(ended.__context__, "__cause__", None), KeyboardInterrupt)
        failed = signals.received and (unsaid or status not in (0, INTERRUPTED))
        if failed or signals.waiting:
            status = signals.say()
    except KeyboardInterrupt:
        signals.ending = True
        status = signals.say()
    finally:
        signals.ending = True


def sleep_while_waiting() -> None:
    """Let threads that wait for each other sleep, where the user has not chosen how they wait.

    OpenMP's threads turn in a loop for a while before they sleep. On a machine that does nothing
    else that costs nothing; beside busy processes it takes the cores from those that are waited
    for: training steps beside one busy process took 3.5 to 5.7 s with GNU's own 300,000 turns, 2.3
    with 10,000, 2.2 with none. With none, a quiet machine loses the time to wake them: 1.44 s a
    step against 1.30 with 10,000 and 1.35 with 300,000 (medians, MobileNetV2, two cores). It is
    read when torch is imported, so a library cannot choose it for its host; set these variables in
    the environment there.
    """
    if not WAITING.keys() & os.environ.keys():
        os.environ.update(WAITING)


class Signals:
    """Ctrl-C, SIGTERM and SIGHUP raise `KeyboardInterrupt`, and once all is over end the process.

    While a module is imported they wait: one that is half imported stays broken, and what follows
    would fail for reasons that have nothing to do with the signal. One that still waits when the
    verb is done counts as well. A signal that the parent process
    had ignored, as `nohup` does, stays ignored.
    """

    def __init__(self) -> None:
        self.received = self.waiting = self.ending = self.said = False

    def install(self) -> None:
        """Listen from now on."""
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._interrupt)
        self._shown = sys.unraisablehook
        sys.unraisablehook = self._unraisable

    def _interrupt(self, _signal: int, frame: FrameType | None) -> None:
        if self.ending:
            if not self.said:  # a stream may be in the middle of a line
                with suppress(OSError):
                    os.write(2, b"Interrupted.\n")
            os._exit(INTERRUPTED)
        self.received = True
        self.waiting = _imports(frame) and self._interrupt_later()
        if not self.waiting:
            raise KeyboardInterrupt

    def say(self) -> int:
        """Say that the process was interrupted, and return the exit code."""
        with suppress(OSError):
            print("Interrupted.", file=sys.stderr)
        self.said = True
        return INTERRUPTED

    def _interrupt_later(self) -> bool:
        """Interrupt again in a moment; return whether the system has a timer for it."""
        if not hasattr(signal, "setitimer"):
            return False
        signal.signal(signal.SIGALRM, self._interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        return True

    def _unraisable(self, what: sys.UnraisableHookArgs) -> None:
        """Interrupt again, a little later, where an interrupt met code that cannot raise it."""
        if issubclass(what.exc_type, KeyboardInterrupt):
            self._interrupt_later()
        else:
            self._shown(what)


def _imports(frame: FrameType | None) -> bool:
    """Whether a module is being imported in a frame or in one that called it."""
    while frame is not None:
        if "importlib._bootstrap" in frame.f_code.co_filename:
            return True
        frame = frame.f_back
    return False


class Outlet(io.FileIO):
    """The raw end of standard output or error: when nobody reads any more, what is written is lost.

    The work goes on: `graft fit ... 2>&1 | head -1` trains to the end.
    """

    lost = False

    def write(self, data: Any, /) -> int:
        """Write to the file, or to nobody."""
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in NOBODY_READS:
                raise
        self.lost = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        return memoryview(data).nbytes


def open_streams() -> None:
    """Make all three standard streams usable, whatever the parent process has closed.

    File names need not be valid text; a lone surrogate is written as its JSON escape.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # the next file that is opened would become a standard stream
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != descriptor:
                os.dup2(nowhere, descriptor)
                os.close(nowhere)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        given = getattr(sys, name)
        if given is None or isinstance(getattr(given.buffer, "raw", given.buffer), io.FileIO):
            if given is not None:
                given.flush()
            raw = Outlet(descriptor, "w", closefd=False)
            given = io.TextIOWrapper(
                io.BufferedWriter(raw),
                encoding=given.encoding if given else "utf-8",
                errors="backslashreplace",
                line_buffering=descriptor == 2 or raw.isatty(),
                write_through=bool(given and given.write_through),
            )
            setattr(sys, name, given)


def _written(status: int) -> int:
    """Write what is still in the streams, and return the exit code after that."""
    from graft.errors import ResourceError

    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError) as error:
            status = ResourceError.exit_code
            with suppress(OSError):  # there may be nobody to tell either
                os.write(2, f"Error: The output could not be written: {error}.\n".encode())
    return status
