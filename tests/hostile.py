"""Model folders as somebody might send them: every value edited, and checksums that are right."""

from __future__ import annotations

import copy
import json
import pickle
import resource
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from graft.backbones.load import load_backbone
from graft.errors import DataError
from graft.heads import build_head
from graft.model import Classifier
from graft.model_folder import checksum
from graft.tasks import Prediction
from tests.backbones import hugging_face

BACKBONES = ("graft-small", "lite0", "squeezenet1_1", "timm:test_vit", "hf")
GONE = object()
EXTRA = object()
MEMORY = 2 << 30  # bytes
SECONDS = 10  # of the processor

VALUES: tuple[Any, ...] = (
    GONE,
    EXTRA,
    None,
    True,
    0,
    -1,
    3,
    4096,
    2**31,
    10**30,
    0.5,
    -1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "x" * 100_000,
    "hf-hub:attacker/x",
    "local-dir:../x",
    "../../x",
    "/etc/passwd",
    "https://attacker.example/x.pth",
    "__class__.__init__",
    [],
    [2**31] * 3,
    ["x"],
    {},
    {"_attn_implementation": "attacker/kernel", "auto_map": {"AutoConfig": "evil.Config"}},
)

# Whoever writes a right checksum has made another model where these differ, and not a broken one.
ANOTHER_MODEL = (
    ("task", "classes"),
    ("backbone", "preprocess"),
    ("backbone", "architecture", "config"),
)

Where = tuple[str | int, ...]


def write_model(name: str, folder: Path) -> Path:
    """Save a classifier of two classes on a small backbone with random weights."""
    if name == "hf":
        name = str(hugging_face.write(folder / "source", "vit"))
    size = None if "vit" in name else 32
    backbone = load_backbone(name, pretrained=False, image_size=size)
    head = build_head({"kind": "linear", "width": backbone.width, "classes": 2})
    return Classifier(backbone, head, ("ants", "bees")).save(folder / "model")


def places(document: Any, where: Where = ()) -> Iterator[Where]:
    """Yield where every value of a document is; of long lists only the ends."""
    if where:
        yield where
    if isinstance(document, dict):
        for key, value in document.items():
            yield from places(value, (*where, key))
    elif isinstance(document, list):
        ends = {0, len(document) - 1} if len(document) > 4 else set(range(len(document)))
        for index in sorted(ends):
            yield from places(document[index], (*where, index))


def edited(document: Any, where: Where, value: Any) -> Any:
    """Return a copy of a document with one value replaced, removed, or given company."""
    changed = copy.deepcopy(document)
    owner = changed
    for part in where[:-1]:
        owner = owner[part]
    last: Any = where[-1]
    if value is GONE:
        del owner[last]
    elif value is EXTRA and isinstance(owner, dict):
        owner["pretrained"] = True
    elif value is EXTRA:
        owner.append(copy.deepcopy(owner[last]))
    else:
        owner[last] = value
    return changed


def write(folder: Path, document: Any) -> None:
    """Write `model.json` with a checksum that is right."""
    content = {key: value for key, value in document.items() if key != "checksum"}
    try:
        promised = checksum(content)
    except ValueError:  # NaN has none
        promised = "0" * 64
    (folder / "model.json").write_text(json.dumps({**content, "checksum": promised}))


class Trap:
    """A pickle that leaves a file behind when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (Path.touch, (self.mark,))

    def lay(self, file: Path) -> Path:
        file.write_bytes(pickle.dumps(self, protocol=2))
        return file


@contextmanager
def guarded() -> Iterator[None]:
    """Fail where code runs, the network is asked, or memory or time go beyond all measure."""

    def refuse(*_: Any, **__: Any) -> Any:
        pytest.fail("a model folder reached for the network or for another process")

    def late(*_: Any) -> None:
        pytest.fail(f"more than {SECONDS} s of processor time")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket.socket, "connect_ex", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        patch.setattr(subprocess, "Popen", refuse)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        previous = signal.signal(signal.SIGPROF, late)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, previous)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown * 1024 < MEMORY


def ask(folder: Path) -> Prediction | DataError:
    """Load a model and predict one image, or return the refusal."""
    coarse = np.random.default_rng(0).integers(256, size=(4, 4, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((48, 40))
    with guarded():
        try:
            [answer] = Classifier.load(folder).predict(image)
        except DataError as refusal:
            return refusal
    return answer


def judge(where: Where, value: Any, answer: Prediction | DataError, right: Prediction) -> None:
    """Fail unless an edited folder was refused in two lines or gave an honest answer."""
    edit = f"{'.'.join(map(str, where))} = {str(value)[:80]}"
    if isinstance(answer, DataError):
        assert "\n" not in answer.problem, edit
        assert len(answer.problem) < 1500, edit
        assert answer.remedy, edit
        return
    if any(where[: len(free)] == free for free in ANOTHER_MODEL):
        assert sum(share for _, share in answer.top) == pytest.approx(1, abs=1e-4), edit
        return
    assert answer.top == right.top, edit
