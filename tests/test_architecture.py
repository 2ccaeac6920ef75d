"""What ARCHITECTURE.md says of the rooms is so, and each of its ways to extend Graft has a test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src/graft"
TEXT = (ROOT / "ARCHITECTURE.md").read_text()

PROOFS = {
    "a backbone of a known provider": "backbones/test_families.py",
    "a provider of backbones": "backbones/providers/test_init.py",
    "a head": "test_plugins.py",
    "a model's facts in the zoo": "zoo/test_facts.py",
    "a strategy": "test_plugins.py",
    "an objective": "test_plugins.py",
    "a callback": "training/test_callbacks.py",
    "a stream": "training/test_streams.py",
    "a task": "test_plugins.py",
    "a self-supervised loss": "pretraining/test_pair_loss.py",
    "a family of generated shapes": "procedural/test_shapes.py",
    "an option": "test_config.py",
    "an augmentation": "data/test_augment.py",
    "a verb": "cli/test_main.py",
}
"""The tests that do what a row of "Where to add" says, or that fail where it is done by half."""


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading."""
    section = TEXT.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_table_of_rooms_names_every_room_and_file_of_the_package():
    rooms = {name.rstrip("/") for row in rows("The rooms") for name in named(row[0])}
    found = {path.name for path in PACKAGE.iterdir() if not path.name.startswith(("__", "py."))}
    assert rooms == found


def test_every_file_to_start_reading_at_exists():
    for room, _, start in rows("The rooms"):
        for name in named(start):
            below = [PACKAGE / each for each in named(room)]
            assert any((place / name).is_file() or place.name == name for place in below), name


def test_every_file_that_the_text_names_exists():
    for name in re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.(?:py|json|toml))`", TEXT):
        places = [ROOT / name, PACKAGE / name, *PACKAGE.rglob(f"**/{name}")]
        written = {"model.json", "run.json", "entry.json"}
        assert name in written or any(place.is_file() for place in places), name


@pytest.mark.parametrize("word", ["task", "stream", "callback", "predictor"])
def test_the_words_to_know_are_explained(word):
    section = TEXT.split("## The four words to know\n")[1].split("\n## ")[0]
    (paragraph,) = (part for part in section.split("\n\n") if f"**{word}**" in part)
    (file,) = re.findall(rf"\*\*{word}\*\* \(`([^`]+)`\)", paragraph)
    assert (PACKAGE / file).is_file()


def test_every_way_to_extend_graft_has_a_test():
    assert [row[0] for row in rows("Where to add")] == list(PROOFS)
    for file in PROOFS.values():
        assert re.search(r"^def test_", (ROOT / "tests" / file).read_text(), re.MULTILINE), file
