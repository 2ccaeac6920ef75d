"""The command line in this process: arguments in, exit code and both outputs out."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from graft.cli.main import main
from tests.workflows.conftest import photos, weights

__all__ = ["photos", "weights"]


class Outcome(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str


@pytest.fixture
def graft_cli(capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run `graft ARGUMENTS` and return its exit code, standard output and standard error."""

    def run(*arguments: object) -> Outcome:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Outcome(int(ended.value.code or 0), out, err)

    return run
