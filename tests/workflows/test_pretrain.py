import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import graft
from graft.backbones.load import load_backbone
from graft.errors import DataError, RecipeError
from graft.training import Callback
from graft.workflows.pretrain import pretrain

FEW = {
    "waves": 2,
    "superformulas": 1,
    "rosettes": 2,
    "fractals": 1,
    "strokes": 1,
    "textures": 3,
    "palettes": 3,
}
SMALL = {"image_size": 16, "batch_size": 16, "epochs": 1, "workers": 0, "device": "cpu"}
GENERATED = {**SMALL, **FEW, "images": 64}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two classes, one bright and one dark, and a file that is no image."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for label, low in (("dark", 0), ("bright", 150)):
        (folder / label).mkdir()
        for number in range(20):
            pixels = rng.integers(low, low + 100, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    (folder / "dark" / "broken.png").write_bytes(b"nothing")
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return pretrain(out=tmp_path_factory.mktemp("runs") / "run", **GENERATED)


def test_the_run_is_a_backbone(trained, photos, tmp_path):
    backbone = load_backbone(str(trained.run))
    for name, tensor in trained.backbone.module.state_dict().items():
        assert torch.equal(backbone.module.state_dict()[name], tensor)
    fitted = graft.fit(photos, backbone=str(trained.run), out=tmp_path / "fit", device="cpu")
    assert fitted.result["val_accuracy"] > 0.9


def test_it_begins_from_nothing_without_a_folder_and_says_so(trained):
    assert trained.result["start"] == "random"
    assert trained.result["method"] == "supervised"
    assert trained.result["data"] == "generated"
    assert set(trained.result["known"]) >= {"family", "shape", "palette"}


def test_a_backbone_alone_predicts_nothing_and_says_what_to_do(trained):
    with pytest.raises(DataError, match=r"without a head.*graft fit DIR --backbone"):
        graft.load(trained.run)


def test_its_recipe_repeats_the_run(trained, tmp_path):
    again = pretrain(config=trained.run / "recipe.yaml", out=tmp_path / "again")
    for name, tensor in trained.backbone.module.state_dict().items():
        assert torch.equal(again.backbone.module.state_dict()[name], tensor), name


@pytest.mark.parametrize("method", ["simclr", "barlow-twins", "vicreg"])
def test_a_folder_without_labels_is_enough(method, photos, tmp_path):
    done = pretrain(
        photos, out=tmp_path / "run", backbone="graft-small", start="random", method=method, **SMALL
    )
    assert done.result["known"] == {}
    assert done.result["effective_rank"] > 1
    assert any("cannot be read" in words for words in done.result["warnings"])
    load_backbone(str(done.run))


def test_a_labelled_folder_can_teach(photos, tmp_path):
    options = {**SMALL, "epochs": 3, "start": "random", "method": "supervised"}
    done = pretrain(photos, out=tmp_path / "run", **options)
    assert list(done.result["known"]) == ["class"]


def test_it_goes_on_from_an_earlier_run(trained, photos, tmp_path):
    done = pretrain(
        photos, backbone=str(trained.run), out=tmp_path / "run", **{**SMALL, "image_size": None}
    )
    assert done.result["start"] == "pretrained"
    load_backbone(str(done.run))


class Interrupt(Callback):
    def on_epoch_begin(self, trainer, epoch):
        if epoch == 2:
            raise KeyboardInterrupt


def test_an_interrupted_run_leaves_a_backbone_and_goes_on_to_the_same_weights(tmp_path):
    options = {**GENERATED, "epochs": 2}
    whole = pretrain(out=tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt):
        pretrain(out=tmp_path / "run", callbacks=[Interrupt()], **options)
    assert json.loads((tmp_path / "run/run.json").read_text())["state"] == "interrupted"
    load_backbone(str(tmp_path / "run"))
    resumed = pretrain(out=tmp_path / "run", resume=True)
    for name, tensor in whole.backbone.module.state_dict().items():
        assert torch.equal(resumed.backbone.module.state_dict()[name], tensor), name
    epochs = [
        json.loads(line)["epoch"]
        for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    ]
    assert epochs == [1, 2]


def test_a_finished_run_is_not_trained_again(trained):
    said = []

    class Heard(Callback):
        def on_message(self, words):
            said.append(words)

    again = pretrain(out=trained.run, resume=True, callbacks=[Heard()])
    assert again.result == trained.result
    assert said == [f"The run in '{trained.run}' is already done."]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "simclr", "augment": "none"}, "two augmented views"),
        ({"start": "random", "weights": "w.safetensors"}, "--start random excludes --weights"),
        ({"method": "byol"}, "method.name"),
        ({"imagse": 3}, "images"),
        ({**FEW, "waves": 0, "superformulas": 0, "rosettes": 0, "fractals": 0, "strokes": 0,
          "glyphs": False}, "nothing to draw"),
        ({"images": 64}, "do not fill a batch of 128"),
        ({"epochs": 2, "warmup": 2}, "leaves none to train"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_in_words(options, message, tmp_path):
    with pytest.raises(RecipeError, match=message):
        pretrain(out=tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_a_run_resumes_only_on_the_images_that_it_began_with(photos, tmp_path):
    images = Path(shutil.copytree(photos, tmp_path / "images"))
    options = {**SMALL, "batch_size": 8, "epochs": 2, "method": "supervised", "start": "random"}
    with pytest.raises(KeyboardInterrupt):
        pretrain(images, out=tmp_path / "run", callbacks=[Interrupt()], **options)
    changed = images / "dark" / "3.png"
    original = changed.read_bytes()
    Image.new("RGB", (24, 24)).save(changed)
    with pytest.raises(DataError, match=r"1 of 40 images .*/dark/3.png' \(other content\)"):
        pretrain(out=tmp_path / "run", resume=True)
    changed.write_bytes(original)
    assert pretrain(out=tmp_path / "run", resume=True).result["epochs"] == 2


def test_a_network_for_grey_images_is_not_given_generated_ones(photos, tmp_path):
    grey = graft.fit(
        photos, backbone="graft-small", image_size=16, channels=1, out=tmp_path / "grey"
    )
    with pytest.raises(RecipeError, match="1 channels; generated ones are square and have 3"):
        pretrain(backbone=str(grey.run), start="pretrained", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no image"):
        pretrain(tmp_path / "empty", out=tmp_path / "run", **SMALL, start="random")
    assert not (tmp_path / "run").exists()


def test_a_taken_folder_is_left_alone(trained):
    with pytest.raises(RecipeError, match="already holds a run"):
        pretrain(out=trained.run, **GENERATED)


def test_resuming_with_other_options_is_refused(trained):
    with pytest.raises(RecipeError, match="other options"):
        pretrain(out=trained.run, resume=True, epochs=9)


class FirstEpoch(Callback):
    """Ends the run after its first epoch, whose mean loss it keeps."""

    def on_epoch_end(self, trainer, line):
        trainer.stop, self.loss = True, line["loss"]


@pytest.mark.parametrize(
    ("options", "loss"),
    [
        ({"method": "supervised"}, 10.525145),
        ({"method": "simclr"}, 3.414447),
        ({"method": "supervised", "augment": "basic", "optimizer": "sgd", "lr": 0.05,
          "schedule": "cosine", "warmup": 1}, 10.591540),
        ({"method": "supervised", "taught": 64, "clip": 1.0, "images": 70}, 10.302501),
    ],
)  # fmt: skip
def test_the_first_steps_are_those_of_the_loop_that_made_the_shipped_weights(
    options, loss, tmp_path, monkeypatch
):
    monkeypatch.setattr("graft.pretraining.monitor.MEASURED", 16)
    first = FirstEpoch()
    pretrain(out=tmp_path / "run", callbacks=[first], **{**GENERATED, "epochs": 3, **options})
    assert first.loss == pytest.approx(loss, rel=1e-3)
