"""`fit` takes objects as well as names, and a run that had them asks for them again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from safetensors.torch import load_file
from torch import Tensor, nn

import graft
from graft.cli.main import main
from graft.errors import DataError, RecipeError
from graft.tasks import CrossEntropy

CLASSES = ("blue", "green", "red")
QUICK = {"batch_size": 8, "augment": "none", "lr": 1e-2}
IMAGES = graft.Preprocess(32)


class Bias(nn.Module):
    """A head that nobody registers."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.layer = nn.Linear(width, outputs)
        nn.init.normal_(self.layer.weight, generator=torch.Generator().manual_seed(0))
        nn.init.zeros_(self.layer.bias)

    def forward(self, features: Tensor) -> Tensor:
        outputs: Tensor = self.layer(features)
        return outputs

    def record(self) -> dict[str, Any]:
        layer = self.layer
        return {"kind": "bias", "width": layer.in_features, "classes": layer.out_features}


def hinge(model: Any, batch: Any, progress: Any) -> dict[str, Tensor]:
    return {"hinge": nn.functional.multi_margin_loss(model(batch.inputs), batch.targets)}


class Count(graft.Callback):
    """Stops the run by an error after some steps, as a kill would."""

    def __init__(self, most: int = 10**9) -> None:
        self.steps, self.most, self.messages = 0, most, []

    def on_batch_end(self, trainer: graft.Trainer, line: dict[str, Any]) -> None:
        self.steps += 1
        if self.steps > self.most:
            raise KeyboardInterrupt

    def on_message(self, message: str) -> None:
        self.messages.append(message)


def network() -> nn.Module:
    torch.manual_seed(5)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 12, 3, 2),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, 7),
    )


def parts() -> dict[str, Any]:
    backbone = graft.Backbone.from_module(network(), IMAGES)
    stages = [stage.name for stage in backbone.stages]
    options = graft.StrategyOptions(head_start="random")
    return {
        "backbone": network(),
        "preprocess": IMAGES,
        "head": Bias,
        "task": graft.Classification(CLASSES),
        "plan": graft.make_plan("full", stages, epochs=3, options=options),
        "objective": hinge,
    }


def test_a_run_of_objects_alone_is_resumed_to_the_same_weights(
    photos: Path, tmp_path: Path
) -> None:
    given = parts()
    before = {name: value.clone() for name, value in given["backbone"].state_dict().items()}
    whole, count = graft.fit(photos, out=tmp_path / "whole", **given, **QUICK), Count(4)
    with pytest.raises(KeyboardInterrupt):
        graft.fit(photos, out=tmp_path / "run", callbacks=[count], **given, **QUICK)
    again = graft.fit(photos, out=tmp_path / "run", resume=True, **parts(), **QUICK)

    resumed = again.classifier.state_dict()
    for name, value in whole.classifier.state_dict().items():
        assert value.equal(resumed[name])
    assert list(again.result["plan"]["phases"][0]["trains"])[-1] == "head"
    for name, value in given["backbone"].state_dict().items():
        assert value.equal(before[name])  # the run trained a copy
    assert "head 'bias' is registered by no installed package" in " ".join(count.messages)


@pytest.mark.parametrize("name", ["backbone", "head", "objective", "task", "plan"])
def test_an_object_that_a_resumed_run_lacks_is_named(
    name: str, photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        graft.fit(photos, out=tmp_path / "run", callbacks=[Count(0)], **parts(), **QUICK)
    rest = {key: part for key, part in parts().items() if key != name}
    if name == "backbone":
        del rest["preprocess"]

    with pytest.raises(
        RecipeError, match=rf"with {name}=.* an object, which is missing"
    ) as refused:
        graft.fit(out=tmp_path / "run", resume=True, **rest)
    assert refused.value.exit_code == 2


def test_another_object_of_the_same_kind_is_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        graft.fit(photos, out=tmp_path / "run", callbacks=[Count(0)], **parts(), **QUICK)
    other = parts()
    nn.init.zeros_(other["backbone"][0].weight)

    with pytest.raises(RecipeError, match=r"an object, which is .* now"):
        graft.fit(out=tmp_path / "run", resume=True, **other)


def test_the_command_line_says_what_only_python_can_give(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    fitted = graft.fit(photos, out=tmp_path / "run", objective=CrossEntropy(), **QUICK)

    with pytest.raises(SystemExit) as ended:
        main(["fit", "--config", str(fitted.run / "recipe.yaml"), "--out", str(tmp_path / "again")])
    assert ended.value.code == 2
    assert "objective=graft.tasks.objectives.CrossEntropy" in capsys.readouterr().err


def test_a_model_of_unregistered_parts_is_refused_with_the_group_to_register(
    photos: Path, tmp_path: Path
) -> None:
    head, backbone = {"head": Bias}, {"backbone": network(), "preprocess": IMAGES}
    first = graft.fit(photos, out=tmp_path / "head", backbone="graft-small", **head, **QUICK)
    second = graft.fit(photos, out=tmp_path / "backbone", **backbone, **QUICK)

    with pytest.raises(DataError, match=r"'bias', which no installed .*'graft\.heads'"):
        graft.load(first.run)
    with pytest.raises(DataError, match=r"'python:Sequential', .*'graft\.backbones'"):
        graft.load(second.run)

    plain = network()
    plain[8] = nn.Linear(12, 3)
    plain.load_state_dict(load_file(second.run / "model/model.safetensors"))
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(plain.eval()(images), second.classifier(images))


def test_a_backbone_that_was_loaded_is_taken_and_its_model_loads(
    photos: Path, tmp_path: Path
) -> None:
    backbone = graft.load_backbone("graft-small", image_size=32)
    head = graft.LinearHead(backbone.width, 3)

    fitted = graft.fit(photos, out=tmp_path / "run", backbone=backbone, head=head, **QUICK)

    image = photos / "val/red/00.png"
    assert graft.load(fitted.run).predict(image) == fitted.classifier.predict(image)
    assert fitted.result["plan"]["phases"][0]["method"] == "solve"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": network(), "image_size": 64}, "has its weights and its images' size"),
        ({"backbone": "graft-small", "preprocess": IMAGES}, "belongs to backbone=<nn.Module>"),
        ({"plan": graft.make_plan("full", ["stem"]), "strategy": "full"}, "it says the strategy"),
        ({"plan": graft.make_plan("full", ["stem", "stage1"])}, "plan is for the stages stem, st"),
        ({"head": lambda width, outputs: nn.Linear(width, outputs)}, "not a module with a method"),
        ({"head": Bias(7, 3)}, "takes 7 features and gives 3 outputs; .* were expected"),
        ({"head": Bias, "head_start": "solve"}, "head-start solve needs a linear head"),
    ],
)
def test_objects_that_cannot_be_meant_are_refused(
    options: dict[str, Any], message: str, photos: Path, tmp_path: Path
) -> None:
    given = {"backbone": "graft-small", **options}
    with pytest.raises(RecipeError, match=message):
        graft.fit(photos, out=tmp_path / "run", **given)


def test_a_network_of_a_library_is_traced() -> None:
    backbone = graft.Backbone.from_module(torchvision.models.resnet18())

    assert [stage.modules[0] for stage in backbone.stages[1:]] == [
        "layer1",
        "layer2",
        "layer3",
        "layer4",
    ]
    assert backbone.preprocess.image_size == (224, 224)
