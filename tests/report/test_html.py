"""The page: whole, offline, harmless, and there for every run however it ended."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graft.report.html import write_report

MakeRun = Callable[..., Path]
HOSTILE = ["<script>alert(1)</script>", '"><img src=http://evil/x onerror=x>', "[red]\x1b[31m", "é"]


class Page(HTMLParser):
    """What a browser would see: the elements with their attributes, and the text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.text = re.sub(r"\s+", " ", self.words)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


def page_of(folder: Path) -> Page:
    return Page(write_report(folder))


def test_a_finished_run_is_told_from_its_result_to_its_facts(make_run: MakeRun) -> None:
    page = page_of(make_run())
    for words in (
        "95.4%",
        "of 153 validation images right, 95% interval 91.4 to 98.4%",
        "Selected on validation",
        "Diagnosis: good fit",
        "train/bees/damaged.jpg",
        "8.5e-4",
        "86.2 to 97.8%",
        "5 frozen stages unchanged",
        "torch 2.15.0",
    ):
        assert words in page.text
    assert page.count("svg") == 3


def test_the_confusion_matrix_is_a_table_whose_cells_are_shaded_by_their_share(
    make_run: MakeRun,
) -> None:
    page = page_of(make_run())
    cells = [
        (attributes["class"], attributes["style"])
        for name, attributes in page.elements
        if name == "td" and attributes.get("class") in ("right", "mistaken")
    ]
    assert cells == [
        ("right", "--share:0.943"),
        ("mistaken", "--share:0.057"),
        ("mistaken", "--share:0.036"),
        ("right", "--share:0.964"),
    ]
    assert "ants 66 4" in page.text
    assert "bees 3 80" in page.text


def test_the_page_asks_nothing_of_any_network(make_run: MakeRun) -> None:
    page = page_of(make_run(HOSTILE, np.diag([5, 6, 7, 8]).tolist()))
    links = [
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "srcset", "action", "data", "xmlns")
    ]
    assert all(value and value.startswith("data:image/jpeg;base64,") for value in links)
    assert not page.count("script")
    assert not re.search(r"url\(|@import", page.source)


def test_hostile_names_are_shown_and_do_nothing(make_run: MakeRun) -> None:
    folder = make_run(HOSTILE, [[5, 1, 0, 0], [0, 6, 0, 1], [2, 0, 7, 0], [0, 0, 0, 8]])
    page = page_of(folder)
    assert "<script>alert(1)</script>" in page.text
    assert "[red]\\x1b[31m" in page.text
    assert "\x1b" not in page.source
    handlers = [name for _, attributes in page.elements for name in attributes if name[:2] == "on"]
    assert not handlers
    assert page.count("img") == 4  # the four thumbnails, and none from a name


def test_undecodable_names_do_not_stop_the_page(make_run: MakeRun) -> None:
    page = page_of(make_run(["caf\udce9", "\udcff"], [[3, 1], [0, 4]]))
    assert "caf\\udce9" in page.text


def test_no_two_elements_share_an_id(make_run: MakeRun) -> None:
    ids = [attributes["id"] for _, attributes in page_of(make_run()).elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_every_image_has_words_beside_it(make_run: MakeRun) -> None:
    page = page_of(make_run())
    charts = [attributes for _, attributes in page.elements if attributes.get("role") == "img"]
    assert len(charts) == page.count("svg")
    assert all(attributes.get("aria-label") for attributes in charts)
    assert all(attributes.get("alt") for name, attributes in page.elements if name == "img")


def test_every_colour_of_the_charts_is_defined_for_light_and_dark(make_run: MakeRun) -> None:
    source = page_of(make_run()).source
    style, body = source.split("</style>")
    light, dark = style.split("prefers-color-scheme: dark", 1)
    used = set(re.findall(r"var\((--\w+)\)", body))
    assert "--validation" in used
    assert all(f"{name}:" in light and f"{name}:" in dark for name in used)


def test_where_there_is_a_test_split_its_numbers_lead(make_run: MakeRun) -> None:
    folder = make_run()
    run = json.loads((folder / "run.json").read_text())
    run["test"] = {**run["validation"], "images": 77}
    run["result"] |= {"test_accuracy": 0.91, "test_interval": [0.85, 0.94], "test_images": 77}
    (folder / "run.json").write_text(json.dumps(run))
    page = page_of(folder)
    assert "of 77 test images right" in page.text
    assert "Measured once" in page.text
    assert "Classes, on 77 test images" in page.text
    assert "mistakes" not in page.text.split("Facts")[0].split("Each class")[1]


def without(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).unlink()
    return folder


def test_a_solved_probe_has_no_curves_but_all_the_rest(make_run: MakeRun) -> None:
    folder = without(make_run(), "steps.jsonl")
    line = {"phase": "solve", "epoch": 0, "step": 0, "train_loss": None, "val_accuracy": 0.95}
    (folder / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    page = page_of(folder)
    assert page.count("svg") == 0
    assert "Learning rate per stage" not in page.text
    assert "95.4%" in page.text


@pytest.mark.parametrize("state", ["running", "failed", "interrupted"])
def test_a_run_that_wrote_nothing_but_its_state_has_a_page(make_run: MakeRun, state: str) -> None:
    folder = make_run(state=state, result=None, validation=None, error="disk <full>")
    page = page_of(without(folder, "metrics.jsonl", "steps.jsonl", "predictions.csv"))
    assert state in page.text
    assert "disk <full>" in page.text
    assert "Nothing was measured yet." in page.text


def test_an_interrupted_run_shows_how_far_it_got(make_run: MakeRun) -> None:
    page = page_of(make_run(state="interrupted", result=None, validation=None))
    assert "This run was interrupted before its end." in page.text
    assert "epoch 8 of 8" in page.text
    assert "so this is no result" in page.text
    assert page.count("svg") == 3


@pytest.mark.parametrize("missing", ["plan", "diagnosis", "warnings", "seconds", "val_interval"])
def test_a_result_that_lacks_a_part_has_a_page_without_it(make_run: MakeRun, missing: str) -> None:
    folder = make_run()
    run: dict[str, Any] = json.loads((folder / "run.json").read_text())
    run["result"][missing] = None
    (folder / "run.json").write_text(json.dumps(run))
    assert "95.4%" in page_of(folder).text


def test_a_page_without_curves_starts_no_chart_engine(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = without(make_run(), "steps.jsonl", "metrics.jsonl")
    monkeypatch.setattr(subprocess, "run", None)
    assert page_of(folder).count("svg") == 0


def test_numbers_that_are_not_finite_are_left_out_of_the_charts(make_run: MakeRun) -> None:
    folder = make_run(state="failed")
    with (folder / "steps.jsonl").open("a") as file:
        file.write('{"step": 65, "epoch": 9, "loss": NaN, "lr": {"head": Infinity}}\n')
    assert "nan" not in re.findall(r'd="[^"]*"', page_of(folder).source.lower())


def test_two_hundred_classes_are_all_listed_on_a_page_of_modest_size(make_run: MakeRun) -> None:
    rng = np.random.default_rng(0)
    names = [f"a species with a long name, number {n}" for n in range(200)]
    folder = make_run(
        names, (rng.integers(0, 2, (200, 200)) + np.eye(200) * 30).astype(int).tolist()
    )
    page = page_of(folder)
    assert all(name in page.text for name in names)
    assert "the 24 of 200 classes with the most mistakes" in page.text
    assert len(page.source) < 1_000_000


def test_a_page_whose_charts_cannot_be_drawn_says_so_and_has_the_rest(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graft.report.charts._SCRIPT", Path("no such file.py"))
    page = page_of(make_run())
    assert "The charts could not be drawn: the chart engine ended in an error" in page.text
    assert "On validation it went from" in page.text
    assert "Every epoch as a table" in page.text
    assert page.count("svg") == 0


def test_importing_the_room_loads_nothing_heavy() -> None:
    code = (
        "import sys, graft.report.html, graft.report.summary\n"
        "print({'torch', 'rich', 'jinja2', 'vl_convert', 'PIL', 'numpy'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"
