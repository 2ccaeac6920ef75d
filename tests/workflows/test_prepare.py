"""From a recipe to what a run needs: any backbone, any head, a plan that fits them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from graft.backbones.load import load_backbone
from graft.config import resolve
from graft.download import staying_offline
from graft.errors import ResourceError
from graft.heads.cosine import CosineHead
from graft.heads.linear import LinearHead
from graft.heads.mlp import MLPHead
from graft.model import Classifier
from graft.tasks import Classification
from graft.workflows.fit import fit, plan_only
from graft.workflows.prepare import choose_plan, graft_head
from tests.backbones import hugging_face

RANDOM = {"strategy": "scratch", "backbone": "squeezenet1_1", "image_size": 32}


@pytest.mark.parametrize(
    ("head", "kind"), [("linear", LinearHead), ("mlp", MLPHead), ("cosine", CosineHead)]
)
def test_the_recipes_head_is_grafted(head: str, kind: type) -> None:
    recipe = resolve({**RANDOM, "head": head, "dropout": 0.25})
    backbone = load_backbone("squeezenet1_1", pretrained=False, image_size=32)

    classifier = graft_head(recipe, backbone, Classification(("ants", "bees")))

    assert isinstance(classifier.head, kind)
    assert classifier.head.record()["dropout"] == 0.25


@pytest.mark.parametrize(
    ("head", "methods", "epochs"), [("linear", ["solve"], 0), ("mlp", ["gradient"], 10)]
)
def test_a_probe_solves_a_linear_head_and_trains_another(
    head: str, methods: list[str], epochs: int
) -> None:
    backbone = load_backbone("squeezenet1_1", meta=True)

    plan = choose_plan(resolve({"head": head}), backbone)

    assert ([phase.method for phase in plan.phases], plan.epochs) == (methods, epochs)


def test_a_timm_backbone_has_a_plan_without_weights_on_disk(photos: Path) -> None:
    with staying_offline():
        document = plan_only(photos, backbone="timm:resnet18", strategy="gradual")

    assert document["plan"]["stages"] == ["stem", "stage1", "stage2", "stage3", "stage4"]
    assert [phase["trains"][0] for phase in document["plan"]["phases"][:3]] == [
        "head",
        "stage4",
        "stage3",
    ]


def test_without_network_and_cache_a_fit_says_what_is_missing(photos: Path, tmp_path: Path) -> None:
    with staying_offline(), pytest.raises(ResourceError, match=r"timm/.*huggingface\.co") as error:
        fit(photos, backbone="timm:resnet18", out=tmp_path / "run")

    assert error.value.exit_code == 4


@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_a_hugging_face_model_is_tuned_saved_and_reloaded(
    photos: Path, tmp_path: Path, head: str
) -> None:
    torch.manual_seed(0)
    folder = hugging_face.write(tmp_path / "vit", "vit")
    # A random start, so that the tuned network and not a solved head is the best of the run.
    options = {"strategy": "full", "epochs": 1, "head": head, "head_start": "random"}

    fitted = fit(photos, out=tmp_path / "run", backbone=str(folder), batch_size=8, **options)

    images = sorted((photos / "test").rglob("*.png"))
    start = load_backbone(str(folder)).module.state_dict()
    moved = {n for n, v in fitted.classifier.body.state_dict().items() if not v.equal(start[n])}
    assert moved
    loaded = Classifier.load(tmp_path / "run")
    assert loaded.predict(images) == fitted.classifier.predict(images)
