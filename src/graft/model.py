"""A model: a backbone, a head and a task, which is trained, saved and loaded."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from graft.backbones.backbone import Backbone
from graft.backbones.load import plain_network
from graft.backbones.saved import HEAD as HEAD_TENSORS
from graft.backbones.saved import read_saved
from graft.backbones.weights import compare_header
from graft.data.decode import Readable
from graft.data.loader import Loader
from graft.data.manifest import Sample
from graft.errors import BackboneError, DataError, RecipeError
from graft.files import TEMPORARY, atomic_write, locked, sweep, wrap_os_errors
from graft.heads import build_head
from graft.heads.linear import LinearHead
from graft.host import isolated
from graft.inference import Grafted, Predictor, eval_batch
from graft.model_folder import DAMAGED, write_facts
from graft.strategies import HEAD
from graft.tasks import Classification, Task, build_task

if TYPE_CHECKING:
    from typing_extensions import Self

    from graft.data.prefetch import PixelCache
    from graft.heads import Head


def _sweep(folder: Path) -> None:
    """Remove what killed processes left half written, where there is nothing but a model."""
    own = {"model.json", "model.safetensors"}
    with suppress(OSError), locked(folder):  # or another process saves into it
        if all(path.name in own or TEMPORARY.fullmatch(path.name) for path in folder.iterdir()):
            sweep(folder)


class Model(Grafted):
    """A backbone with a head grafted on, and its task.

    Args:
        backbone: The backbone and what is known of it; its module becomes `body`.
        head: Features (N, width) to outputs (N, task.outputs).
        task: Targets, objective, score and predictions.
    """

    def __init__(self, backbone: Backbone, head: nn.Module, task: Task) -> None:
        super().__init__()
        self.backbone = backbone
        self.body = backbone.module
        self.head = head
        self.task = task
        self._predictor: Predictor | None = None

    def forward(self, images: Tensor, above: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Map normalised images (N, channels, H, W) to outputs (N, task.outputs).

        Args:
            images: The images; with `above`, their activations at the cut.
            above: The stages of the backbone above the cut, used instead of the whole backbone.
        """
        outputs: Tensor = self.head(self.body(images) if above is None else above(images))
        return outputs

    @property
    def device(self) -> torch.device:
        """The device that holds the parameters."""
        return next(self.parameters()).device

    @property
    def eval_batch(self) -> int:
        """Images per forward pass where nothing is learned."""
        return eval_batch(self.device)

    def parameters_by_stage(self) -> dict[str, list[nn.Parameter]]:
        """Return every parameter under its stage, in execution order, `"head"` last."""
        stages = {
            stage.name: [self.body.get_parameter(name) for name in stage.parameters]
            for stage in self.backbone.stages
        }
        return {**stages, HEAD: list(self.head.parameters())}

    @property
    def module(self) -> nn.Module:
        """A copy of the network in plain PyTorch, as its own library has it, in eval mode.

        It is the architecture with a classifier layer of its own for this task, the trained weights
        inside: no class of Graft is in it, and its state dict fits the architecture, as in
        `torchvision.models.resnet18(num_classes=2).load_state_dict(classifier.module.state_dict())`
        (`timm.create_model(name, num_classes=2)` for timm; for transformers it is the
        `AutoModelForImageClassification`). It maps normalised images (N, channels, H, W) to the
        outputs of this model. An activation behind the classifier layer, which SqueezeNet alone
        has in torchvision, is left out.

        Raises:
            RecipeError: The head is not linear, so it is no layer of the architecture.
        """
        if not isinstance(self.head, LinearHead):
            raise RecipeError(
                f"A {type(self.head).__name__} is not the classifier layer of "
                f"'{self.backbone.name}', so there is no plain network of that architecture.",
                "Train a linear head, or use the model's body and head, which are modules.",
            )
        return plain_network(self.backbone, self.head.linear.weight, self.head.linear.bias)

    def train(self, mode: bool = True) -> Self:
        """Set train or eval mode; a stage or head that is frozen stays in eval mode.

        So its BatchNorm statistics stand still and its drop-out is off. Frozen is what has
        parameters and none that requires a gradient.
        """
        super().train(mode)
        for name, parameters in self.parameters_by_stage().items() if mode else ():
            if parameters and not any(each.requires_grad for each in parameters):
                for module in self._modules_of(name):
                    module.eval()
        return self

    def freeze_to(self, stage: str) -> None:
        """Freeze every stage up to and including `stage`; those above it and the head train.

        For a training loop of your own. What is frozen has no gradients and is in eval mode, and
        stays so when `train()` is called afterwards. `Trainer` sets its own phases.

        Args:
            stage: The last frozen stage ("stage3"), a module of the network in it ("layer3"), or
                "head" to freeze everything; see `Backbone.stages_of`.

        Raises:
            BackboneError: There is no such stage.

        Example:
            >>> classifier.freeze_to("layer3")  # doctest: +SKIP
            >>> classifier.train()  # doctest: +SKIP
        """
        self._train_from(self._positions(stage)[-1] + 1)

    def unfreeze_from(self, stage: str) -> None:
        """Let `stage`, every stage above it and the head train, and freeze those below it.

        `unfreeze_from("stage4")` is `freeze_to("stage3")`; see there.

        Args:
            stage: The first stage that trains, a module of the network in it, or "head".

        Raises:
            BackboneError: There is no such stage.
        """
        self._train_from(self._positions(stage)[0])

    def _positions(self, stage: str) -> list[int]:
        names = [*(each.name for each in self.backbone.stages), HEAD]
        return [names.index(name) for name in self.backbone.stages_of(stage)]

    def _train_from(self, first: int) -> None:
        for position, parameters in enumerate(self.parameters_by_stage().values()):
            for parameter in parameters:
                parameter.requires_grad_(position >= first)
        self.train(self.training)

    def _modules_of(self, stage: str) -> list[nn.Module]:
        if stage == HEAD:
            return [self.head]
        return [self.body.get_submodule(path) for path in self.backbone.stage(stage).modules]

    def count_parameters(self) -> dict[str, int]:
        """Return the number of parameters of each stage and of `"head"`."""
        return {
            stage: sum(parameter.numel() for parameter in parameters)
            for stage, parameters in self.parameters_by_stage().items()
        }

    def loader(
        self,
        images: Sequence[Sample | Readable],
        *,
        workers: int | None = None,
        failures: dict[int, str] | None = None,
        pixels: PixelCache | None = None,
    ) -> Loader:
        """Return a loader of the clean views of images, in order, in batches of `eval_batch`.

        Args:
            images: Samples of a manifest, or anything `decode` reads.
            workers: Threads that decode; None means one per core.
            failures: As in `Loader`: takes the reasons of images that cannot be read.
            pixels: As in `Loader`: keeps decoded images.
        """
        return Loader(
            images,
            self.task,
            self.backbone.preprocess,
            batch_size=self.eval_batch,
            workers=workers,
            pad=True,
            failures=failures,
            pixels=pixels,
        )

    def predict(
        self,
        images: Readable | Sequence[Readable],
        *,
        top: int = 5,
        workers: int | None = None,
    ) -> list[Any]:
        """Predict images: paths, bytes, Pillow images or uint8 arrays (H, W, 3), one or many.

        A `graft.Predictor` is kept for the next call, as long as no weight has changed. That is
        checked in each call: for many calls make a `Predictor` and use that.

        Args:
            images: One image, or a list or tuple of them. A folder is not an image.
            top: Most classes to name.
            workers: Threads that decode; None means one per core.

        Returns:
            A prediction for each image, in order, of the kind that the task makes.

        Raises:
            DataError: An image cannot be read.
        """
        if workers is not None:
            with Predictor(self, workers=workers) as predictor:
                return predictor.predict(images, top=top)
        kept = self._predictor
        if kept is None or not kept.still_holds(self):
            kept = self._predictor = Predictor(self)
        return kept.predict(images, top=top)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the predictor, which has threads, out of copies."""
        return {**self.__dict__, "_predictor": None}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Load tensors that `state_dict` of such a model gave.

        Some networks read torch's version metadata from a state dict, which neither a copy nor a
        safetensors file has; the tensors come from this version, so its own metadata is right.
        """
        marked = self.state_dict()
        for name in marked.keys() - state.keys():
            del marked[name]
        marked.update(state)
        self.load_state_dict(marked)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write `model.safetensors` and `model.json` into a folder, each whole or not at all.

        With a linear head the tensors have the names that the architecture gives them, so that
        `torchvision.models.resnet18(num_classes=2)` and its like take them as they are. With
        another head they are those of `state_dict()`.

        Raises:
            ResourceError: The disk is full or the folder cannot be written.
        """
        target = Path(folder)
        with wrap_os_errors(target):
            target.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        network = self.module if isinstance(self.head, LinearHead) else self
        tensors = {name: each.contiguous().cpu() for name, each in network.state_dict().items()}
        with atomic_write(target / "model.safetensors") as temporary:
            save_file(tensors, temporary)
        return write_facts(
            target,
            task=self.task.record(),
            backbone=self.backbone.record(),
            head=cast("Head", self.head).record(),
        )

    @classmethod
    @isolated()
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """Read a saved model, on the CPU and in eval mode.

        Args:
            folder: A model folder, or a run folder with one in it.

        Returns:
            A `Classifier` where the task is classification, else a `Model`.

        Raises:
            DataError: There is no model, it does another task, or it is not what this version of
                Graft writes.
        """
        saved = read_saved(folder)
        facts = saved.facts
        if facts["head"] is None:
            raise DataError(
                f"'{folder}' holds a backbone without a head, which knows no classes.",
                f"Train a head on it first: graft fit DIR --backbone {folder}",
            )
        task = build_task(facts["task"])
        kind = Classifier if type(task) is Classification else Model
        if not issubclass(kind, cls):
            raise DataError(
                f"The model in '{folder}' does {task.name}, not {Classification.name}.",
                "Load it with graft.load.",
            )
        try:
            with torch.device("meta"):
                compare_header(saved.header, build_head(facts["head"]), HEAD_TENSORS)
            backbone, head = Backbone.from_record(facts["backbone"]), build_head(facts["head"])
            model = make_model(backbone, head, task)
            model.restore(saved.read())
        except (BackboneError, RuntimeError) as error:
            reason = error.problem if isinstance(error, BackboneError) else f"{error}."
            raise DataError(f"The model in '{folder}' is damaged: {reason}", DAMAGED) from error
        return cast("Self", model.to(memory_format=torch.channels_last).eval())


class Classifier(Model):
    """A model whose task is classification.

    Args:
        backbone: The backbone and what is known of it; its module becomes `body`.
        head: Features (N, width) to logits (N, classes).
        classes: Class names in the order of the logits.
    """

    task: Classification

    def __init__(self, backbone: Backbone, head: nn.Module, classes: Sequence[str]) -> None:
        super().__init__(backbone, head, Classification(tuple(classes)))

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the logits."""
        return self.task.classes


def make_model(backbone: Backbone, head: nn.Module, task: Task) -> Model:
    """Return a `Classifier` where the task is classification itself, else a `Model`."""
    if type(task) is Classification:
        return Classifier(backbone, head, task.classes)
    return Model(backbone, head, task)


load = Model.load
"""`graft.load(MODEL)`: the model in a run folder or a model folder."""
