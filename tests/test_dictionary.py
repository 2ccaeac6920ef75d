"""Every command of the dictionary does what it says, as far as a plan."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from graft.strategies.strategies import FINE_TUNING_RATES, HEAD_RATES, SCRATCH_RATES
from tests.cli.conftest import graft_cli
from tests.conftest import MakeFolder

__all__ = ["graft_cli"]

TEXT = (Path(__file__).parents[1] / "docs/dictionary.md").read_text()
COMMANDS = re.findall(r"`(graft [^`]+)`", TEXT)


@pytest.fixture
def place(make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand where a folder `photos` is."""
    counts = {f"{split}/{label}": 3 for split in ("train", "val") for label in ("ants", "bees")}
    monkeypatch.chdir(make_folder(counts).parent)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_dictionary_run(place, graft_cli, command):
    _, verb, *arguments = shlex.split(command)
    dry = ["--dry-run"] if verb in ("fit", "train") else []
    done = graft_cli(verb, *arguments, *dry)
    assert done.code == 0, done.err
    assert "Warning: The learning rate" not in done.err


def test_the_recipe_of_the_dictionary_has_its_phases(place, graft_cli):
    [recipe] = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    Path("recipe.yaml").write_text(recipe)
    done = graft_cli(
        "fit", "photos", "--backbone", "resnet18", "--config", "recipe.yaml", "--dry-run"
    )
    assert done.code == 0, done.err
    assert "phases, 3 phases" in done.err


def test_the_ranges_of_the_dictionary_are_those_of_the_warnings():
    for what, ranges in (
        ("a new head", HEAD_RATES),
        ("pre-trained stages", FINE_TUNING_RATES),
        ("random weights", SCRATCH_RATES),
    ):
        [shown] = re.findall(rf"^\| {what} \| (.*?) \| (.*?) \|$", TEXT, re.MULTILINE)
        for cell, (low, high) in zip(shown, (ranges["sgd"], ranges["adam"]), strict=True):
            assert tuple(map(float, cell.split(" to "))) == (low, high)
