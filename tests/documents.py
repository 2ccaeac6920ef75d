"""The documents' commands and examples, run as they stand, in order, page by page.

Run as `python -m tests.documents [PAGE...]` it writes what the commands print now below them.
What follows a command in a page is compared with what it prints, but for numbers: those that are
percentages may differ by `POINTS`, all others freely.
"""

from __future__ import annotations

import io
import os
import re
import runpy
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from safetensors.torch import save_file
from torchvision import models

from graft.cli.main import main
from tests.workflows.conftest import write_photos

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
NETWORKS = ("mobilenet_v2", "squeezenet1_1")
NAMED = ("ants/10308379_1b6c72e180.jpg", "bees/10870992_eebeeb3a12.jpg")
"""Photographs that the README names."""
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
POINTS = 10.0
WIDTH = "80"

_BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TIME = re.compile(r"(?:\d+ h )?(?:\d+ min )?\d+(?:\.\d+)? (?:s|ms|min|h)\b")
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?(?: ?%)?")


@dataclass(frozen=True)
class Command:
    """A line `$ graft …`, and what the page shows below it ("" where it shows nothing)."""

    line: str
    shown: str = ""


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return the language and the text of every block that runs."""
    return _BLOCK.findall(page.read_text(encoding="utf-8"))


def commands(block: str) -> Iterator[Command]:
    """Yield the commands of a console block with what is shown below each."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, _, shown = part.partition("\n")
        yield Command(line, shown)


def furnish(page: Path, folder: Path) -> bool:
    """Put the images and weights that a page speaks of into a reader's folder.

    Only the README speaks of some that no command writes. Where the real ones are not beside the
    repository, images that are made here and random weights take their place.

    Returns:
        Whether what the page's commands print can be compared with the page.
    """
    if page.name != "README.md":
        return True
    if SHARED.is_dir():
        for name in ("hymenoptera", "flowers"):
            (folder / name).symlink_to(SHARED / "data" / name)
        for name in NETWORKS:
            file = f"{name}.safetensors"
            (folder / file).symlink_to(SHARED / "weights" / file)
        return True
    counts = {f"{split}/{name}": 12 for split in ("train", "val") for name in ("ants", "bees")}
    write_photos(folder / "hymenoptera", counts)
    for name in NAMED:
        image = folder / "hymenoptera/val" / name
        Image.open(image.parent / "00.png").save(image)
    for name in NETWORKS:
        state = getattr(models, name)().state_dict()
        save_file(state, folder / f"{name}.safetensors")
    return False


def printed(line: str) -> str:
    """Run `graft …` here, in this process, and return what it prints, errors included.

    Raises:
        RuntimeError: The exit code is not 0.
    """
    program, *arguments = shlex.split(line)
    if program != "graft":
        raise RuntimeError(f"documents show graft itself, not {program}")
    text = io.StringIO()
    with redirect_stdout(text), redirect_stderr(text):
        try:
            main(arguments)
        except SystemExit as ended:
            if ended.code:
                raise RuntimeError(f"{line}\n{text.getvalue()}") from None
    plain = text.getvalue().replace(f"{Path.cwd()}{os.sep}", "").strip("\n")
    return "\n".join(row.rstrip() for row in plain.splitlines()) + "\n"


def run_example(code: str) -> None:
    """Run a Python example here."""
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        file = Path(folder) / "example.py"
        file.write_text(code, encoding="utf-8")
        runpy.run_path(str(file), run_name="__main__")


def differs(shown: str, really: str) -> str:
    """Say where a page shows something else than what is printed, or "" where it does not."""
    (told, numbers), (said, measured) = _parts(shown), _parts(really)
    if told != said:
        return f"the page shows\n{shown}\nand it prints\n{really}"
    for one, other in zip(numbers, measured, strict=True):
        if one.endswith("%") and abs(_value(one) - _value(other)) > POINTS:
            return f"the page shows {one} where it prints {other}\n{really}"
    return ""


def _parts(text: str) -> tuple[str, list[str]]:
    """Divide a text into its words and its numbers; times and line breaks say nothing."""
    text = _TIME.sub("TIME", text)
    words = " ".join(re.sub("─+", " ", _NUMBER.sub("#", text)).split())
    return words, _NUMBER.findall(text)


def _value(number: str) -> float:
    return float(number.rstrip("% ").replace(",", ""))


def rewrite(page: Path) -> None:
    """Write into a page what its commands print; those that show nothing go on doing so."""

    def anew(language: str, block: str) -> str:
        if language == "python":
            run_example(block)
            return block
        lines = []
        for command in commands(block):
            really = printed(command.line)
            keep = not command.shown or not differs(command.shown, really)
            lines.append(f"$ {command.line}\n{command.shown if keep else really}")
        return "".join(lines)

    written = {block: anew(language, block) for language, block in blocks(page)}
    text = page.read_text(encoding="utf-8")  # as it is by now
    for block, new in written.items():
        text = text.replace(block, new)
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for place in [Path(name).resolve() for name in sys.argv[1:]]:
        with tempfile.TemporaryDirectory() as folder:
            os.environ |= {"COLUMNS": WIDTH, "GRAFT_CACHE": f"{folder}/.cache"}
            os.chdir(folder)
            furnish(place, Path(folder))
            rewrite(place)
            os.chdir(ROOT)
