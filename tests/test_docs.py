"""Every command and every Python example of the documents works as written."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from collections import Counter
from functools import cache

import pytest
from typer.main import get_command

import graft
from graft.cli.main import VERBS, Group, build_app
from graft.config import paths, resolve
from graft.data.augment import augmentation
from graft.samples.write import SAMPLES
from graft.workflows.prepare import choose_plan
from tests.documents import (
    PAGES,
    ROOT,
    WIDTH,
    blocks,
    commands,
    differs,
    furnish,
    printed,
    run_example,
)

DOCS = ROOT / "docs"
LONG = {"concepts.md", "demo.md", "fit.md", "pretrain.md"}
"""Pages that train for more than a few seconds."""

COURSES = {
    "Textbook chapter": 51,
    "Visual lesson": 21,
    "Lecture on fine-tuning": 49,
    "How-to article": 14,
    "Lesson": 13,
}
"""How many things each course contains."""
ANSWERS = ("yes", "partly", "not yet", "out of scope")


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(
            page,
            id=str(page.relative_to(ROOT)),
            marks=[pytest.mark.slow] if page.name in LONG else [],
        )
        for page in PAGES
        if blocks(page)
    ],
)
def test_a_page_works_from_top_to_bottom_and_shows_what_is_printed(page, tmp_path, monkeypatch):
    comparable = furnish(page, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", WIDTH)
    monkeypatch.setenv("GRAFT_CACHE", str(tmp_path / ".cache"))
    for language, block in blocks(page):
        if language == "python":
            run_example(block)
            continue
        for command in commands(block):
            really = printed(command.line)
            wrong = comparable and command.shown and differs(command.shown, really)
            assert not wrong, (
                f"{command.line}\n{wrong}\n"
                f"`python -m tests.documents {page.relative_to(ROOT)}` writes what is printed."
            )


def test_the_reference_has_every_public_name():
    shown = re.findall(r"^::: graft\.(\w+)$", (DOCS / "reference.md").read_text(), re.MULTILINE)
    assert sorted(shown) == sorted(set(graft.__all__) - {"__version__"})


def test_every_verb_has_its_guide():
    assert {page.stem for page in (DOCS / "guides").glob("*.md")} == set(VERBS)


def test_the_guide_to_samples_names_every_set():
    shown = re.findall(r"^\| `([\w-]+)` \|", (DOCS / "guides/samples.md").read_text(), re.MULTILINE)
    assert shown == list(SAMPLES)


def course_rows() -> list[tuple[str, str, str, str]]:
    """Return the course map's rows: the course, the item, the answer, how it is done."""
    rows = []
    for section in (DOCS / "courses.md").read_text().split("\n## ")[1:]:
        course, _, text = section.partition("\n")
        cells = re.findall(r"^\| (.+?) \| (.+?) \| (.*?) \|$", text, re.MULTILINE)
        rows += [(course, *row) for row in cells if row[1] in ANSWERS]
    return rows


def test_the_course_map_has_an_answer_for_every_item():
    rows = course_rows()
    assert Counter(course for course, *_ in rows) == COURSES
    assert len({(course, item) for course, item, *_ in rows}) == 148
    for course, item, answer, how in rows:
        assert answer != "yes" or "`" in how or "](" in how, (course, item, how)


def test_the_course_map_counts_its_answers_rightly():
    shown = re.findall(r"^\| ([^|]+?) ((?:\| *\d+ )+)\|$", (DOCS / "courses.md").read_text(), re.M)
    counted = Counter((course, answer) for course, _, answer, _ in course_rows())
    assert {name: [int(cell) for cell in cells.split("|")[1:]] for name, cells in shown} == {
        **{name: [n, *(counted[name, a] for a in ANSWERS)] for name, n in COURSES.items()},
        "All": [148, *(sum(counted[name, a] for name in COURSES) for a in ANSWERS)],
    }


def test_every_command_of_the_course_map_is_understood():
    lines = [
        (item, line)
        for _, item, _, how in course_rows()
        for line in re.findall(r"`(graft [^`]+)`", how)
    ]
    assert len(lines) > 70
    for item, line in lines:
        verb, *arguments = shlex.split(line)[1:]
        assert verb in VERBS, (item, line)
        command = get_command(build_app(verb)).commands[verb]
        if isinstance(command, Group):
            command = command.commands[arguments.pop(0)]
        options = command.make_context(verb, arguments).params
        if verb == "fit":
            recipe = resolve({name: options[name] for name in paths() if name in options})
            augmentation(recipe.data.augment)
            name = "mobilenet_v2" if recipe.backbone.name == "mobilenet_v2" else "resnet18"
            choose_plan(recipe, network(name))


@cache
def network(name: str) -> graft.Backbone:
    """A network whose stages the course map names."""
    return graft.load_backbone(name, meta=True)


LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def test_links_between_documents_lead_somewhere():
    for page in {*PAGES, *ROOT.glob("*.md"), *ROOT.glob("benchmarks/*.md")}:
        for link in LINK.findall(page.read_text(encoding="utf-8")):
            place = page.parent / link.partition("#")[0]
            assert "://" in link or place.exists(), f"{page.name}: {link}"


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("mkdocs"), reason="the extra docs is not here")
def test_the_site_builds_without_a_warning_and_asks_nothing_of_the_network(tmp_path):
    site = tmp_path / "site"
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for page in site.rglob("*.html"):
        loaded = re.findall(
            r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"?(https?:[^\s\">]+)",
            page.read_text(encoding="utf-8"),
        )
        assert not loaded, page
