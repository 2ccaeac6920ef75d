"""Every command and every Python example of the documents works as written."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import save_file
from torchvision import models

from tests.workflows.conftest import write_photos

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


SHARED = Path(__file__).parents[2] / "shared"
NETWORKS = ("mobilenet_v2", "squeezenet1_1")
NAMED = ("ants/10308379_1b6c72e180.jpg", "bees/10870992_eebeeb3a12.jpg")
"""Photographs that the documents name."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the images and weights that the documents speak of, or others in their place.

    Where the real ones are not beside the repository, images that are made here and random weights
    show that the commands run, if not what they print.
    """
    folder = tmp_path_factory.mktemp("reader")
    if SHARED.is_dir():
        (folder / "hymenoptera").symlink_to(SHARED / "data/hymenoptera")
        (folder / "flowers").symlink_to(SHARED / "data/flowers")
        for name in NETWORKS:
            file = f"{name}.safetensors"
            (folder / file).symlink_to(SHARED / "weights" / file)
        return folder
    counts = {f"{split}/{name}": 12 for split in ("train", "val") for name in ("ants", "bees")}
    write_photos(folder / "hymenoptera", counts)
    for name in NAMED:
        image = folder / "hymenoptera/val" / name
        Image.open(image.parent / "00.png").save(image)
    for name in NETWORKS:
        state = getattr(models, name)().state_dict()
        save_file(state, folder / f"{name}.safetensors")
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


def test_the_readme_shows_what_the_command_really_prints(shared, place):
    block = next(block for block in blocks("console") if "graft predict" in block)
    _, predicted = block.split("$ graft predict")
    command, shown = predicted.split("\n", 1)
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
    # Labels agree exactly; a share may differ in its last digit between processors.
    assert float(confidence.strip("%\n ")) == pytest.approx(float(measured.strip("%\n ")), abs=0.2)
