import json

import pytest
import torch

from graft.backbones.load import load_backbone
from graft.config import TrainingOptions
from graft.data.preprocess import Preprocess
from graft.errors import DivergedError
from graft.model import Model
from graft.pretraining.heads import FactorHeads, Factors, make_projector
from graft.pretraining.images import GeneratedImages
from graft.pretraining.losses import BetweenViews, VICReg
from graft.pretraining.monitor import CollapseMonitor
from graft.pretraining.pretext import Pretext, pretraining_plan
from graft.pretraining.recipe import PretrainOptions
from graft.pretraining.views import simclr_augmentation
from graft.procedural import Scenes
from graft.training import Callback, Trainer

SIZE = 16
FEW = {"waves": 2, "superformulas": 1, "rosettes": 2, "fractals": 1, "strokes": 1, "textures": 3}


class KillAfter(Callback):
    """Interrupts in the middle of an epoch."""

    def __init__(self, batches):
        self.left = batches

    def on_batch_end(self, trainer, line):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


def pretrainer(method="supervised", *, loss=None, epochs=3, **options):
    backbone = load_backbone("graft-small", pretrained=False, image_size=SIZE, seed=1)
    views = 1 if method == "supervised" else 2
    images = GeneratedImages(
        Scenes(size=SIZE, **FEW),
        Preprocess(SIZE),
        32,
        batch_size=16,
        augmentation=simclr_augmentation(SIZE) if views == 2 else None,
        views=views,
        workers=0,
    )
    if method == "supervised":
        head = FactorHeads(backbone.width, images.factors)
        objective = Factors(tuple(images.factors))
    else:
        head, objective = make_projector(backbone.width, (32, 32)), BetweenViews(loss or VICReg())
    training = options.pop("options", PretrainOptions(epochs=epochs, batch_size=16, lr=3e-3))
    callbacks = [CollapseMonitor(images.held_out), *options.pop("callbacks", ())]
    return Trainer(
        Model(backbone, head, Pretext(objective)),
        pretraining_plan(backbone, training.epochs),
        images,
        options=TrainingOptions(**training.model_dump(), keep="last"),
        callbacks=callbacks,
        device="cpu",
        **options,
    )


def state(trainer):
    return {name: tensor.clone() for name, tensor in trainer.model.body.state_dict().items()}


@pytest.mark.parametrize("method", ["supervised", "vicreg"])
def test_a_killed_run_goes_on_to_the_same_weights(method, tmp_path):
    whole = pretrainer(method)
    whole.train()
    killed = pretrainer(method, folder=tmp_path, callbacks=[KillAfter(3)])
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    resumed = pretrainer(method, folder=tmp_path, resume=True)
    assert resumed.position.epoch == 1
    resumed.train()
    for name, tensor in state(whole).items():
        assert torch.equal(tensor, state(resumed)[name]), name


def test_it_learns_what_is_in_the_images():
    options = PretrainOptions(epochs=6, batch_size=16, lr=1e-3)
    trainer = pretrainer(options=options)
    # The same few images in every epoch, which can be learned by heart.
    show = trainer.train_loader.epoch
    trainer.train_loader.epoch = lambda number, start=0: show(1, start=start)
    trainer.train()
    losses = [line["loss"] for line in trainer.history]
    assert losses[-1] < 0.7 * losses[0]
    assert set(trainer.history[-1]["known"]) == set(trainer.train_loader.factors)


def test_every_epoch_leaves_a_line(tmp_path):
    trainer = pretrainer(folder=tmp_path, epochs=2)
    trainer.train()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["epoch"], line["step"]) for line in lines] == [(1, 2), (2, 4)]
    assert all(line["effective_rank"] >= 1 and line["lr"] > 0 for line in lines)


def test_a_collapse_is_seen_and_stops_the_run(tmp_path):
    class Shrink:
        def __call__(self, first, second):
            return {"size": (first.square().sum() + second.square().sum()) * 0 + 1}

    trainer = pretrainer("vicreg", loss=Shrink(), folder=tmp_path)
    # A backbone whose last layer says the same of every image has collapsed for good.
    with torch.no_grad():
        for name, parameter in trainer.model.body.named_parameters():
            if "stages.3" in name:
                parameter.zero_() if parameter.ndim > 1 else parameter.fill_(1.0)
    with pytest.raises(DivergedError, match="Complete collapse"):
        trainer.train()


def test_a_loss_that_is_not_finite_rolls_back_and_slows_down_and_then_stops(tmp_path):
    said = []

    class Heard(Callback):
        def on_message(self, words):
            said.append(words)

    options = PretrainOptions(epochs=3, batch_size=16, optimizer="sgd", lr=1e18)
    trainer = pretrainer(folder=tmp_path, options=options, callbacks=[Heard()])
    with pytest.raises(DivergedError, match="after 2 rollbacks"):
        trainer.train()
    assert any("learning rates x 0.1" in words for words in said)


def test_the_head_and_the_backbone_both_learn():
    trainer = pretrainer(epochs=1)
    before, head = state(trainer), [p.clone() for p in trainer.model.head.parameters()]
    trainer.train()
    assert any(not torch.equal(tensor, before[name]) for name, tensor in state(trainer).items())
    after = trainer.model.head.parameters()
    assert any(not torch.equal(a, b) for a, b in zip(head, after, strict=True))
