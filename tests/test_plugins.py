"""Heads, strategies, objectives and tasks of another package, as pip would install it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import graft
from graft.errors import DataError, RecipeError
from graft.plugins import HEADS, OBJECTIVES, STRATEGIES
from tests.workflows.conftest import SMALL, photos, weights

__all__ = ["photos", "weights"]

HEAD = """
from typing import Literal
import torch
from torch import nn
from graft.heads import HeadRecord

class ScaledRecord(HeadRecord):
    kind: Literal["scaled"]
    scale: float = 1.0

class Scaled(nn.Module):
    Record = ScaledRecord

    def __init__(self, width, classes, dropout=0.0, scale=1.0, *, seed=0):
        super().__init__()
        self.layer, self.dropout, self.scale = nn.Linear(width, classes), dropout, scale
        nn.init.zeros_(self.layer.weight)

    def forward(self, features):
        return self.scale * self.layer(features)

    def record(self):
        layer = self.layer
        return {"kind": "scaled", "width": layer.in_features, "classes": layer.out_features,
                "dropout": self.dropout, "scale": self.scale}
"""
STRATEGY = """
from pydantic import BaseModel, Field
from graft.strategies import Phase, Strategy

class Options(BaseModel):
    stages: int = Field(1, ge=1)

def make(maker):
    return [maker.phase(len(maker.stages) - maker.own.stages, maker.epochs)]

TOP = Strategy(make, 2, 0.5, "the topmost stages", Options)
"""
OBJECTIVE = """
from torch.nn import functional

def make(task, options, train):
    def hinge(model, batch, progress):
        return {"hinge": functional.multi_margin_loss(model(batch.inputs), batch.targets)}
    return hinge
"""
TASK = """
from typing import Literal
from dataclasses import dataclass
from graft.model_folder import ClassificationRecord
from graft.tasks import Classification

class Record(ClassificationRecord):
    name: Literal["ranking"]

@dataclass(frozen=True)
class Ranking(Classification):
    Record = Record
    name = "ranking"
"""
POINTS = """
[graft.heads]
scaled = other_head:Scaled
linear = other_head:Scaled
broken = no_such_module:Head
[graft.strategies]
top = other_strategy:TOP
[graft.objectives]
hinge = other_objective:make
[graft.tasks]
ranking = other_task:Ranking
"""


@pytest.fixture
def installed(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution "other" with a module for each group."""
    root = tmp_path_factory.mktemp("site")
    parts = {"head": HEAD, "strategy": STRATEGY, "objective": OBJECTIVE, "task": TASK}
    for name, text in parts.items():
        (root / f"other_{name}.py").write_text(text)
    facts = root / "other-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(root)


OTHER = {
    **SMALL,
    "head": "scaled",
    "strategy": "top",
    "objective": "hinge",
    "sets": ["head.options.scale=2.5", "strategy.options.stages=2"],
}


@pytest.mark.usefixtures("installed")
def test_a_run_uses_head_strategy_and_objective_of_another_package(
    photos: Path, weights: Path, tmp_path: Path
) -> None:
    fitted = graft.fit(photos, out=tmp_path / "run", weights=str(weights), **OTHER)

    [phase] = fitted.result["plan"]["phases"]
    assert (phase["epochs"], len(phase["trains"])) == (2, 3)
    facts = json.loads((fitted.run / "model/model.json").read_text())
    assert (facts["head"]["kind"], facts["head"]["scale"]) == ("scaled", 2.5)
    first = json.loads((fitted.run / "steps.jsonl").read_text().splitlines()[0])
    assert list(first["losses"]) == ["hinge"]
    image = photos / "val/red/00.png"
    [found] = graft.predict(fitted.run, [image])
    assert found == graft.load(fitted.run).predict(image)[0] == fitted.classifier.predict(image)[0]


@pytest.mark.usefixtures("installed")
def test_the_command_line_takes_them_by_name(photos: Path, capsys: pytest.CaptureFixture) -> None:
    from graft.cli.main import main

    names = ["--head", "scaled", "--strategy", "top", "--objective", "hinge", "--image-size", "32"]
    sets = ["--set", "head.options.scale=2", "--strategy-options", "stages=2"]
    with pytest.raises(SystemExit) as ended:
        main(["fit", str(photos), "--dry-run", "--json", "--backbone", "resnet18", *names, *sets])
    assert not ended.value.code
    [phase] = json.loads(capsys.readouterr().out)["plan"]["phases"]
    assert phase["trains"] == ["stage3", "stage4", "head"]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sets": ["head.options.scales=2"]}, r"head\.options\.scales.*options scale"),
        ({"sets": ["head.options.scale=wide"]}, r"head\.options\.scale: .*valid number"),
        ({"sets": ["strategy.options.stage=2"]}, "no option 'stage' of its own.*stages"),
        ({"sets": ["strategy.options.stages=0"]}, r"strategy\.options\.stages"),
        ({"head": "broken", "sets": []}, "'broken' cannot be imported from 'no_such_module:Head'"),
        ({"head": "scald", "sets": []}, r"scaled.*'graft\.heads'"),
        ({"strategy": "tip", "sets": []}, r"top.*'graft\.strategies'"),
        ({"objective": "hing", "sets": []}, r"hinge.*'graft\.objectives'"),
    ],
)
def test_options_and_names_that_nobody_declares_are_refused(
    photos: Path, options: dict, message: str
) -> None:
    with pytest.raises(RecipeError, match=message) as refused:
        graft.fit(photos, **{**OTHER, "backbone": "resnet18", **options})
    assert refused.value.exit_code == 2


def _model(task: graft.Task) -> graft.Model:
    from graft.heads import build_head

    backbone = graft.load_backbone("resnet18", pretrained=False, image_size=32)
    record = {"kind": "scaled", "width": backbone.width, "classes": task.outputs, "scale": 2.0}
    return graft.Model(backbone, build_head(record), task).eval()


@pytest.mark.usefixtures("installed")
def test_a_task_of_another_package_is_saved_and_loaded(tmp_path: Path) -> None:
    from other_task import Ranking

    model = _model(Ranking(("ants", "bees")))

    assert graft.load(model.save(tmp_path)).task == model.task


def test_what_is_no_longer_installed_is_named_with_its_group(
    tmp_path: Path, installed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _model(graft.Classification(("ants", "bees"))).save(tmp_path)
    monkeypatch.undo()

    with pytest.raises(DataError, match=r"'scaled', which no installed.*'graft\.heads'"):
        graft.load(folder)


@pytest.mark.usefixtures("installed")
def test_a_head_that_another_package_declares_is_read_as_strictly(tmp_path: Path) -> None:
    from graft.model_folder import checksum

    folder = _model(graft.Classification(("ants", "bees"))).save(tmp_path)
    facts = json.loads((folder / "model.json").read_text())
    for change in ({"scale": "2"}, {"path": "x"}, {"width": True}, {"kind": "other_head:Scaled"}):
        edited = {**facts, "head": {**facts["head"], **change}}
        edited.pop("checksum")
        (folder / "model.json").write_text(json.dumps({**edited, "checksum": checksum(edited)}))
        with pytest.raises(DataError):
            graft.load(folder)


@pytest.mark.usefixtures("installed")
def test_what_ships_with_graft_cannot_be_replaced() -> None:
    assert HEADS["linear"] is graft.LinearHead
    assert {"scaled", "broken", "mlp"} <= set(HEADS)
    assert set(OBJECTIVES) == {"hinge"}
    assert list(STRATEGIES)[-1] == "top"
