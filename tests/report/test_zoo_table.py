"""The table fits a terminal of 80 columns, is plain without one, and shows names as they are."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from graft.report.zoo_table import print_suggestions, print_zoo
from graft.zoo.catalogue import PURPOSES, all_entries

USES = [purpose.name for purpose in PURPOSES]
ENTRIES = [entry.to_dict() for entry in all_entries()]


def shown(entries, width=80, **options) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, **options)
    print_zoo(entries, USES, console)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_and_cuts_nothing(width):
    text = shown(ENTRIES, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    [header] = [line for line in text.splitlines() if line.startswith("model")]
    first_column = "".join(line[: header.index("params")].strip() for line in text.splitlines())
    for entry in ENTRIES:
        assert entry["name"].removeprefix("torchvision:") in first_column


def test_a_wide_table_says_what_models_suit_in_words_and_a_narrow_one_by_initials():
    edge = [entry for entry in ENTRIES if entry["suits"] == ["prototype", "edge"]]
    assert "prototype, edge" in shown(edge, 120)
    assert "PE···" in shown(edge, 80)
    assert "E edge" in shown(edge, 80)


def test_an_unknown_accuracy_is_a_dash_that_is_explained():
    timm = [entry for entry in ENTRIES if entry["provider"] == "timm"][:3]
    assert "–: the provider's package carries none" in " ".join(shown(timm).split())
    known = [entry for entry in ENTRIES if entry["top1"]][:3]
    assert "carries none" not in shown(known)


def test_without_a_terminal_there_are_no_escapes():
    assert "\x1b" not in shown(ENTRIES)
    assert "\x1b" in shown(ENTRIES[:1], force_terminal=True)


def test_an_empty_table_says_so():
    assert shown([]).strip() == "No model fits these conditions."


def test_names_are_never_markup():
    assert "[bold]x[/bold]" in shown([{**ENTRIES[0], "name": "[bold]x[/bold]"}])


def test_a_suggested_command_can_be_copied_and_run():
    item = {
        "role": "to begin with",
        "strategy": "probe",
        "reasons": ["Because."],
        "entry": {"name": "torchvision:resnet18"},
    }
    found = {
        "data": "/a folder/with a name that is too long for one line of this terminal/photos",
        "images": 9,
        "classes": 2,
        "machine": {"cores": 2, "memory": 2**33, "accelerator": None, "speed": 1e11},
        "why": "Few images.",
        "notes": ["Small images."],
        "suggestions": [item],
    }
    console = Console(file=io.StringIO(), width=80)
    print_suggestions(found, console)
    command = f"graft fit '{found['data']}' --backbone resnet18 --strategy probe"
    assert command in console.file.getvalue()
    assert "Note: Small images." in console.file.getvalue()
