"""A backbone divided at the beginning of a stage, each part to be run on its own."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from graft.backbones.backbone import Backbone, Stage
from graft.backbones.replay import Reached, Record, Script, Skip, Stop, steps
from graft.backbones.trace import BATCH
from graft.errors import BackboneError


@dataclass(frozen=True)
class Crossing:
    """One tensor that the part above a cut receives from the part below it.

    Args:
        shape: Per image.
        dimension: Which dimension of the network's own tensor the images lie along; None if it is
            the same for all images.
        share: How many entries of that dimension belong to one image.
        dtype: What its numbers are.
    """

    shape: tuple[int, ...]
    dimension: int | None
    share: int
    dtype: torch.dtype

    def by_image(self, tensor: Tensor) -> Tensor:
        """Return the network's own tensor with the images first, (N, *shape)."""
        if self.dimension is None:
            return tensor
        if self.share > 1:
            sizes = list(tensor.shape)
            sizes[self.dimension : self.dimension + 1] = [-1, self.share]
            tensor = tensor.reshape(sizes)
        return tensor.movedim(self.dimension, 0)

    def as_it_was(self, tensor: Tensor) -> Tensor:
        """Undo `by_image`."""
        if self.dimension is None:
            return tensor
        tensor = tensor.movedim(0, self.dimension)
        return tensor.flatten(self.dimension, self.dimension + 1) if self.share > 1 else tensor


class Cut:
    """A backbone in two parts: `suffix(prefix(images))` are the features of `images`.

    Whatever the part above uses crosses the cut, skip connections and constants included. The
    part below is run in eval mode, as a frozen prefix is; the part above in the mode its modules
    are in, with gradients. Both run the network's own code and its own modules, so what is trained
    above the cut is trained in the backbone.

    Args:
        backbone: Its module is shared, not copied.
        stage: The first stage above the cut.

    Raises:
        BackboneError: There is no such stage, or the network's code depends on values below it.

    Example:
        >>> from graft.backbones.load import load_backbone
        >>> backbone = load_backbone("resnet18", pretrained=False, image_size=32)
        >>> cut, images = Cut(backbone, "stage4"), torch.rand(2, 3, 32, 32)
        >>> cut.shapes
        ((256, 2, 2),)
        >>> bool((cut.suffix(cut.prefix(images)) == backbone.module(images)).all())
        True
    """

    def __init__(self, backbone: Backbone, stage: str) -> None:
        first = backbone.stages.index(backbone.stage(stage))
        below, above = backbone.stages[:first], backbone.stages[first:]
        self.stage = stage
        self.module = backbone.module
        self._preprocess = backbone.preprocess
        self._tensors = [name for entry in above for name in (*entry.parameters, *entry.buffers)]
        self._above = _units(backbone.module, above)
        self._units = _units(backbone.module, below) + self._above
        self._twin = copy.deepcopy(backbone.module).to("meta").eval()
        self._scripts: dict[int, Script] = {}
        self._constants: dict[int, Tensor] = {}
        self._crossings = [_crossing(tensor) for tensor in self._script(BATCH).crossing]

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes, per image, of the tensors that `prefix` returns."""
        return tuple(each.shape for each in self._crossings if each.dimension is not None)

    @property
    def dtypes(self) -> set[torch.dtype]:
        """What the numbers of the tensors that `prefix` returns are."""
        return {each.dtype for each in self._crossings if each.dimension is not None}

    @torch.no_grad()
    def prefix(self, images: Tensor) -> tuple[Tensor, ...]:
        """Run the part below the cut.

        Args:
            images: Normalised, (N, channels, H, W).

        Returns:
            Tensors of N rows each, in the order of `shapes`.
        """
        kept = self._below(images)
        return tuple(
            each.by_image(tensor)
            for each, tensor in zip(self._crossings, kept, strict=True)
            if each.dimension is not None
        )

    def suffix(self, tensors: Sequence[Tensor]) -> Tensor:
        """Run the part above the cut.

        Args:
            tensors: What `prefix` returned, for any choice of images. May be overwritten.

        Returns:
            Features (N, width).
        """
        script = self._script(len(tensors[0]))
        rows = iter(tensors)
        crossing = [
            self._constant(index) if each.dimension is None else each.as_it_was(next(rows))
            for index, each in enumerate(self._crossings)
        ]
        mode = Skip(script, crossing, tensors[0].device)
        with steps(mode, self.module, self._units):
            features = self.module(mode.images())
        assert isinstance(features, Tensor)
        return features

    def _below(self, images: Tensor) -> list[Tensor]:
        """Return the network's own tensors at the cut."""
        script = self._script(len(images))
        training = {module: module.training for module in self.module.modules()}
        self.module.eval()
        mode = Stop(script, images)
        try:
            with steps(mode, self.module, self._units):
                self.module(images)
        except Reached:
            pass
        finally:
            for module, state in training.items():
                module.training = state
        return [mode.kept[id(tensor)] for tensor in script.crossing]

    @torch.no_grad()
    def _constant(self, index: int) -> Tensor:
        """Return a crossing tensor that is the same for all images."""
        if index not in self._constants:
            device = next(self.module.parameters()).device
            self._constants.update(enumerate(self._below(self._blank(1).to(device))))
        return self._constants[index]

    def _blank(self, count: int) -> Tensor:
        size = self._preprocess.height, self._preprocess.width
        return torch.zeros(count, self._preprocess.channels, *size)

    def _script(self, count: int) -> Script:
        """Return the steps below the cut for so many images."""
        if count not in self._scripts:
            self._scripts[count] = self._record(count)
        return self._scripts[count]

    def _record(self, count: int) -> Script:
        tensors = self._twin.state_dict(keep_vars=True)
        named = {**dict(self._twin.named_buffers()), **tensors}
        own = [named[name] for name in self._tensors]
        record = Record(self._blank(count).to("meta"), self._above, own)
        try:
            with torch.no_grad(), torch.device("meta"), steps(record, self._twin, self._units):
                self._twin(record.script.images)
        except Exception as error:  # code that depends on values fails without them
            raise BackboneError(
                f"The network cannot be cut at '{self.stage}': {str(error).strip()}.",
                "Choose another stage or another backbone.",
            ) from error
        return record.finish()


def _units(network: nn.Module, stages: Sequence[Stage]) -> list[str]:
    """Return the paths of the modules of some stages that the network's code calls."""
    paths = (path for stage in stages for path in stage.modules)
    return [unit for path in paths for unit in _called(network, path)]


def _called(network: nn.Module, path: str) -> list[str]:
    """Return a path, or those of its parts where it is a mere container that is never called."""
    module = network.get_submodule(path)
    if not isinstance(module, nn.ModuleList | nn.ModuleDict):
        return [path]
    return [
        unit for name, _ in module.named_children() for unit in _called(network, f"{path}.{name}")
    ]


def _crossing(tensor: Tensor) -> Crossing:
    """Describe a tensor that crosses, from a run of `BATCH` images, a prime number."""
    sizes = list(tensor.shape)
    dimension = next((d for d, size in enumerate(sizes) if size and size % BATCH == 0), None)
    if dimension is None:
        return Crossing(tuple(sizes), None, 1, tensor.dtype)
    share = sizes[dimension] // BATCH
    sizes[dimension : dimension + 1] = [share] if share > 1 else []
    return Crossing(tuple(sizes), dimension, share, tensor.dtype)
