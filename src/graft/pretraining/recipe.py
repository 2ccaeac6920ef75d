"""The recipe of `graft pretrain`: every option of a pre-training run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from graft.config import Section
from graft.strategies.optimization import OptimizerOptions


class PretrainData(Section):
    """Which images: those of a folder, or ones that are generated."""

    path: str | None = Field(None, description="folder of images; generated ones if not given")
    image_size: int | None = Field(
        None, ge=16, le=1024, description="side in pixels instead of the backbone's own"
    )
    augment: str | None = Field(
        None, description="none, basic, strong, simclr, or a list; by the method if not given"
    )
    max_unreadable: float = Field(
        0.2, ge=0, le=1, description="share of unreadable images that stops the run"
    )


class SceneOptions(Section):
    """Generated images: how many, of how many kinds. See `graft.procedural.Scenes`."""

    images: int = Field(25_600, ge=2, description="new images in each epoch")
    waves: int = Field(40, ge=0, description="kinds of wave outlines")
    superformulas: int = Field(30, ge=0, description="kinds of superformula outlines")
    rosettes: int = Field(60, ge=0, description="kinds of rosettes")
    fractals: int = Field(60, ge=0, description="kinds of fractals")
    strokes: int = Field(60, ge=0, description="kinds of characters made of strokes")
    glyphs: bool = Field(True, description="printed characters")
    textures: int = Field(64, ge=2, description="kinds of textures")
    palettes: int = Field(32, ge=2, description="kinds of palettes")

    @model_validator(mode="after")
    def _some_shapes(self) -> SceneOptions:
        shapes = self.waves + self.superformulas + self.rosettes + self.fractals + self.strokes
        if not shapes and not self.glyphs:
            raise ValueError("without any kind of shape there is nothing to draw")
        return self


class StartOptions(Section):
    """Which network, and what it begins with."""

    name: str = Field("graft-small", description="architecture, or the folder of an earlier run")
    weights: str | None = Field(None, description="local weights to begin with")
    start: Literal["random", "pretrained"] | None = Field(
        None,
        description="begin with random or with published weights; pretrained where there is a "
        "folder or --weights",
    )


class MethodOptions(Section):
    """What the network is asked to learn."""

    name: Literal["supervised", "simclr", "barlow-twins", "vicreg"] | None = Field(
        None,
        description="supervised (default for generated images), simclr (default for a folder), "
        "barlow-twins or vicreg",
    )
    taught: int | None = Field(
        None,
        ge=1,
        description="supervised: classify by the last so many features; by all if not given",
    )
    temperature: float = Field(0.5, gt=0, description="simclr: of the softmax")
    redundancy: float = Field(0.005, gt=0, description="barlow-twins: weight off the diagonal")
    invariance: float = Field(25.0, ge=0, description="vicreg: weight of the invariance term")
    variance: float = Field(25.0, ge=0, description="vicreg: weight of the variance term")
    covariance: float = Field(1.0, ge=0, description="vicreg: weight of the covariance term")


class PretrainOptions(Section, OptimizerOptions):
    """The loop: how long, how fast, with what."""

    epochs: int = Field(20, ge=1, le=100_000, description="epochs")
    batch_size: int = Field(128, ge=2, description="images per optimizer step")
    lr: float | None = Field(None, gt=0, description="greatest learning rate; by the optimizer")
    schedule: Literal["constant", "step", "cosine", "warm-restarts", "one-cycle"] = Field(
        "one-cycle", description="how the learning rate moves over the run"
    )


class PretrainRecipe(Section):
    """Every option of a pre-training run.

    Example:
        >>> from graft.config import resolve_as
        >>> recipe = resolve_as(PretrainRecipe, {"method": "vicreg", "epochs": 3})
        >>> recipe.method.name, recipe.training.epochs
        ('vicreg', 3)
    """

    data: PretrainData = PretrainData()
    scenes: SceneOptions = SceneOptions()
    backbone: StartOptions = StartOptions()
    method: MethodOptions = MethodOptions()
    training: PretrainOptions = PretrainOptions()
    seed: int = Field(0, ge=0, lt=2**31, description="of everything that is random")
    workers: int | None = Field(None, ge=0, le=256, description="threads that draw or decode")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps")
    out: str | None = Field(None, description="run folder; must not exist yet")
    offline: bool = Field(False, description="ask nothing of the network; use what is cached")

    @model_validator(mode="after")
    def _possible(self) -> PretrainRecipe:
        if self.backbone.weights is not None and self.backbone.start == "random":
            raise ValueError("--start random excludes --weights")
        generated = self.data.path is None
        if generated and self.scenes.images < self.training.batch_size:
            raise ValueError(
                f"{self.scenes.images} images do not fill a batch of {self.training.batch_size}"
            )
        if self.training.warmup >= self.training.epochs:
            raise ValueError(f"a warm-up of {self.training.warmup:g} epochs leaves none to train")
        return self
