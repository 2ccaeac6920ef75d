"""Kill a verb at one of its file operations, take it up again, and say what is there afterwards.

Run as a script, it loads everything once, and every run is a forked process of its own:

    python tests/workflows/kills.py VERB FOLDER PHOTOS [PLACE ...]

FOLDER gets a folder for the run that nothing disturbs and one for each place. Places are counted
from 0, from -1 backwards from the end; without any, all are taken. What is found is printed as one
JSON document: `{"operations": int, "left": {"whole": ..., PLACE: ...}}`.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch

import graft
from graft.errors import DataError
from graft.files import TEMPORARY

CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate")
TIMED = {"seconds", "images_per_second", "process", "started", "finished", "cache"}
"""What differs between two runs that are the same."""


def fit(photos: str, *, resume: bool) -> None:
    small = {"backbone": "graft-small", "image_size": 32, "batch_size": 8, "augment": "none"}
    data = None if resume else photos
    options = {} if resume else {"strategy": "gradual", "epochs": 2, "seed": 0, **small}
    graft.fit(data, out="out", resume=resume, cache="cache", workers=1, **options)


def pretrain(_photos: str, *, resume: bool) -> None:
    kinds = dict.fromkeys(("waves", "superformulas", "rosettes", "fractals", "strokes"), 1)
    sizes = {"image_size": 16, "images": 32, "batch_size": 16, "epochs": 2, "textures": 2}
    graft.pretrain(out="out", resume=resume, workers=1, **({} if resume else {**kinds, **sizes}))


def samples(_photos: str, *, resume: bool) -> None:
    if resume:
        raise DataError("Samples are written again.")
    graft.write_samples("digits", "out")


VERBS: dict[str, Callable[..., None]] = {"fit": fit, "pretrain": pretrain, "samples": samples}


def forked(work: Callable[[], None], folder: Path) -> int:
    """Do something in a process of its own; return its exit code, or minus the signal."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.chdir(folder)
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def watch(folder: Path, operation: Callable[[], bool]) -> None:
    """Call `operation` before every change below a folder, and kill this process if it is true."""
    inside = (f"{folder}{os.sep}", "out", "cache", ".")

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            change = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        else:
            path, change = (arguments or ("",))[0], event in CHANGES
        if not change or not isinstance(path, str):
            return
        relative = event in ("os.remove", "os.rmdir") and arguments[-1] != -1
        if (relative or path.startswith(inside)) and operation():
            os.kill(os.getpid(), signal.SIGKILL)

    write = safetensors.torch.serialize_file

    def half(tensors: Any, path: Any, **options: Any) -> None:
        """Stand for what no hook hears of: the library writes a hidden file and renames it."""
        if operation():
            Path(path).with_name(".tmpAbC12x").write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        write(tensors, path, **options)

    safetensors.torch.serialize_file = half
    sys.addaudithook(hook)


def take_up(verb: Callable[..., None], photos: str) -> None:
    """Do what a user would: resume, and start again where there is nothing to resume."""
    try:
        verb(photos, resume=True)
    except DataError:
        verb(photos, resume=False)


def left(folder: Path) -> dict[str, Any]:
    """Return everything that two equal runs have in common."""
    out = folder / "out"
    found: dict[str, Any] = {
        "names": sorted(str(p.relative_to(folder)) for p in everything(folder, "cache")),
        "half": sorted(p.name for p in everything(folder, "notes") if TEMPORARY.fullmatch(p.name)),
    }
    for path in sorted(out.rglob("*")):
        name = str(path.relative_to(folder))
        if path.suffix in (".safetensors", ".csv", ".png"):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.suffix == ".jsonl":
            found[name] = [untimed(json.loads(line)) for line in path.read_text().splitlines()]
        elif path.name in ("run.json", "state.json"):
            found[name] = untimed(json.loads(path.read_text()))
    return found


def everything(folder: Path, *without: str) -> list[Path]:
    return [p for p in folder.rglob("*") if not {*p.relative_to(folder).parts} & {*without}]


def untimed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: untimed(item) for key, item in value.items() if key not in TIMED}
    return [untimed(item) for item in value] if isinstance(value, list) else value


def main(verb: str, folder: str, photos: str, *places: str) -> None:
    base, work = Path(folder), VERBS[verb]
    whole = base / "whole"
    whole.mkdir()
    counted = base / "counted.json"

    def undisturbed() -> None:
        count = 0

        def operation() -> bool:
            nonlocal count
            count += 1
            return False

        watch(whole, operation)
        work(photos, resume=False)
        counted.write_text(json.dumps([count, sorted(sys.modules)]))

    assert forked(undisturbed, whole) == 0
    operations, modules = json.loads(counted.read_text())
    for name in modules:  # what every run needs is loaded once
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    document: dict[str, Any] = {"operations": operations, "left": {"whole": left(whole)}}
    for place in map(int, places) if places else range(operations):
        there = base / str(place)
        there.mkdir()

        def killed(there: Path = there, place: int = place % operations) -> None:
            remaining = place

            def operation() -> bool:
                nonlocal remaining
                remaining -= 1
                return remaining < 0

            watch(there, operation)
            work(photos, resume=False)

        code = forked(killed, there)
        assert code == -signal.SIGKILL, f"place {place} ended with {code}"
        again = forked(lambda: take_up(work, photos), there)
        document["left"][str(place)] = left(there) if again == 0 else {"exit code": again}
    print(json.dumps(document))


if __name__ == "__main__":
    main(*sys.argv[1:])
