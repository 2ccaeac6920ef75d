"""Every command and every Python example of the documents works as written."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of a language in all documents."""
    pattern = rf"^```{language}\n(.*?)^```$"
    return [
        block
        for document in DOCUMENTS
        for block in re.findall(pattern, document.read_text(), re.MULTILINE | re.DOTALL)
    ]


@pytest.fixture(scope="module")
def place(shared, tmp_path_factory):
    """A folder with the images and weights that the documents speak of."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "hymenoptera").symlink_to(shared / "data/hymenoptera")
    (folder / "flowers").symlink_to(shared / "data/flowers")
    for name in ("mobilenet_v2", "squeezenet1_1"):
        file = f"{name}.safetensors"
        (folder / file).symlink_to(shared / "weights" / file)
    return folder


@pytest.mark.parametrize("block", blocks("console"))
def test_the_commands_of_the_documents_run(place, block):
    commands = [line[2:] for line in block.splitlines() if line.startswith("$ ")]
    assert commands
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "graft", "documents show graft itself"
        done = subprocess.run(
            [sys.executable, "-m", "graft", *arguments], cwd=place, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"


@pytest.mark.parametrize("block", blocks("python"))
def test_the_examples_of_the_documents_run(place, block):
    done = subprocess.run([sys.executable, "-c", block], cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_readme_shows_what_the_command_really_prints(place):
    block = next(block for block in blocks("console") if "graft predict" in block)
    fitted, predicted = block.split("$ graft predict")
    command, shown = predicted.split("\n", 1)
    if not (place / "runs/ants").exists():  # the block itself may run in another process
        fit = shlex.split(fitted.splitlines()[0].removeprefix("$ graft "))
        subprocess.run([sys.executable, "-m", "graft", *fit], cwd=place, check=True)
    done = subprocess.run(
        [sys.executable, "-m", "graft", "predict", *shlex.split(command)],
        cwd=place,
        capture_output=True,
        text=True,
        check=True,
    )
    *of, confidence = shown.split("\t")
    *really, measured = done.stdout.split("\t")
    assert of == really
    # The last digit may differ between processors.
    assert float(confidence.strip("%\n ")) == pytest.approx(float(measured.strip("%\n ")), abs=0.2)
