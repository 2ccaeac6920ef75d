"""Names of files and classes are shown, in whatever Graft writes, and never obeyed."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from graft.data.manifest import Manifest
from tests.workflows.conftest import write_photos

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows refuses such names itself")

CLASSES = [
    "-rf",
    "=cmd()|'calc'!A0",
    "@SUM(1)",
    "\x1b[31m\x1b]0;owned\x07",
    "\x9b31m\u202eevil",
    "<img src=x onerror=alert(1)>",
    "[red]:bee: two\nlines\r",
]
OBEYED = ["\x1b", "\x07", "\x9b", "\u202e", "\r", "\x00"]
FLAGS = ["--backbone=graft-small", "--image-size=16", "--batch-size=8", "--augment=none"]


def harmless(out, err):
    """Return what a command printed, once it is sure that a terminal would only show it."""
    for letter in OBEYED:
        assert letter not in out + err
    return out, err


@pytest.fixture
def graft(graft_cli, hostile, monkeypatch):
    """Run the command in the folder of the hostile data."""
    monkeypatch.chdir(hostile[0])

    def run(*arguments, code=0):
        done = graft_cli(*arguments)
        assert done.code == code, done.err
        return harmless(done.out, done.err)

    return run


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A run on classes and files with hostile names, in a folder whose name begins with a dash."""
    root = tmp_path_factory.mktemp("hostile")
    data = root / "-data"
    for split, images in (("train", 4), ("val", 2)):
        for number, name in enumerate(CLASSES):
            write_photos(data, {f"{split}/{name}": images}, seed=number + 10 * images)
    bad = data / "train" / CLASSES[0] / "=1+1\x1b[2J[bold].png"
    bad.write_bytes(b"\x89PNG")
    command = [sys.executable, "-m", "graft", "fit", *FLAGS, "--out=-run", "--json", "--", "-data"]
    done = subprocess.run(command, cwd=root, capture_output=True, check=True)
    out, err = harmless(done.stdout.decode(), done.stderr.decode())
    return root, json.loads(out), err


def test_fit_shows_the_names_in_the_terminal(hostile):
    _, document, err = hostile
    assert "\\x1b[2J[bold].png" in err
    assert "[red]:bee: two" in "".join(err.split("\n"))
    assert sorted(document["classes"]) == sorted(CLASSES)


@pytest.mark.parametrize("name", ["run.json", "model/model.json", "metrics.jsonl"])
def test_json_holds_the_names_and_nothing_that_acts(hostile, name):
    root, document, _ = hostile
    text = (root / "-run" / name).read_text()
    assert all(letter == "\n" or letter.isprintable() for letter in text)
    if name.endswith("model.json"):
        assert json.loads(text)["task"]["classes"] == document["classes"]


@pytest.mark.parametrize("name", ["split.csv", "predictions.csv"])
def test_no_cell_of_a_table_is_a_formula_or_a_control(hostile, name):
    text = (hostile[0] / "-run" / name).read_text()
    assert all(letter in "\r\n" or letter.isprintable() for letter in text)
    with (hostile[0] / "-run" / name).open(newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) > 14
    for cell in (cell for row in rows for cell in row):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
        assert "\n" not in cell
        assert "\r" not in cell


def test_the_split_is_read_back_as_it_was(hostile, graft):
    manifest = Manifest.load(hostile[0] / "-run" / "split.csv")
    assert {sample.label for sample in manifest.samples} == set(CLASSES)
    assert all(os.path.exists(sample.path) for sample in manifest.samples)  # noqa: PTH110
    out, _ = graft("fit", "--resume", "--out=-run", "--json")
    assert json.loads(out)["classes"] == list(manifest.classes)


def test_the_page_holds_no_element_and_no_control_from_a_name(hostile):
    class Page(HTMLParser):
        seen = ""
        elements: tuple = ()

        def handle_starttag(self, tag, attrs):
            self.elements = (*self.elements, (tag, dict(attrs)))

        def handle_data(self, data):
            self.seen += data

    source = (hostile[0] / "-run" / "report.html").read_text()
    page = Page()
    page.feed(source)
    assert all(letter == "\n" or letter.isprintable() for letter in source)
    assert "<img src=x onerror=alert(1)>" in page.seen
    assert all("onerror" not in attributes for _, attributes in page.elements)


def test_predict_and_evaluate_take_and_show_such_names(hostile, graft):
    root, _, _ = hostile
    image = root / "-data" / "val" / CLASSES[3] / "00.png"
    shutil.copy(image, root / "-x\x1b[2J.png")
    (root / "=bad\u202e[red].png").write_bytes(b"\x89PNG")
    out, err = graft("predict", "./-run", "--", "-x\x1b[2J.png", "=bad\u202e[red].png")
    assert out.startswith("-x\\x1b[2J.png\t")
    assert len(out.splitlines()) == 1
    assert "Set aside: =bad\\u202e[red].png" in err
    out, _ = graft("predict", "--json", "--", "-run", "-data/val")
    assert {json.loads(line)["label"] for line in out.splitlines()} <= set(CLASSES)
    out, err = graft("evaluate", "--", "-run", "-data")
    assert "<img src=x" in err
    assert "@SUM(1)" in err


def test_errors_quote_names_and_show_what_is_in_them(graft):
    _, err = graft("predict", "--", "-run", "\x1b[31m[red]--out", code=3)
    assert "Error: '\\x1b[31m[red]--out' holds no images." in err
    _, err = graft("evaluate", "--", "-no\x07run", "-data", code=3)
    assert "'-no\\x07run'" in err
    graft("fit", "--no\x1b[31msuch", code=2)
