"""`graft` as a process of its own, which starts and ends quickly."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from contextlib import suppress

NEW_BEFORE_COLLECTING = 50_000
"""Objects that are made before Python looks for garbage among them; its own default is 700."""


def run() -> None:
    """Run the command line in a process that is there for nothing else, and end the process.

    Importing torch makes 300,000 objects, all of which stay. To look for garbage among them while
    they are made, and to take them apart one by one at the end, was a third of a run that finds its
    features in the cache. So Python looks rarely; and once everybody who asked for it with `atexit`
    since then has been heard and all output is written, the process stops as it is.
    """
    gc.set_threshold(NEW_BEFORE_COLLECTING)
    status = 1

    def end() -> None:
        os._exit(_written(status))

    atexit.register(end)  # the first to come is the last to be called: before any other import
    from graft.cli.main import main

    try:
        main()
    except SystemExit as asked:
        status = asked.code if isinstance(asked.code, int) else int(asked.code is not None)
        raise


def _written(status: int) -> int:
    """Write what is still in the streams, and return the exit code after that."""
    from graft.errors import ResourceError

    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except BrokenPipeError:
            continue  # whoever read it has seen enough, as with `| head`
        except (OSError, ValueError) as error:
            status = ResourceError.exit_code
            with suppress(OSError):  # there may be nobody to tell either
                os.write(2, f"Error: The output could not be written: {error}.\n".encode())
    return status
