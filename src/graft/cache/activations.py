"""Activations at a cut: the frozen part that makes them, and a loader's batches of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from graft.backbones.backbone import Backbone
from graft.backbones.cut import Cut
from graft.cache.storage import Storage
from graft.data.loader import Batch, Batches, Loader
from graft.data.manifest import Sample
from graft.errors import BackboneError
from graft.inference import Engine, autocast, eval_batch, eval_mode, fold, padded_batches
from graft.strategies import HEAD

TOLERANCE = 1e-4
"""Largest difference between the two ways, as a share of the largest feature, in fp32."""

REDUCED_TOLERANCE = 3e-2
"""The same in bf16 and fp16, whose numbers have 8 and 11 bits."""


class FrozenPrefix:
    """The stages of a backbone below a cut, run once per view instead of once per epoch.

    What crosses the cut becomes one row of float32 numbers per image: every tensor that the stages
    above use, one after the other. The frozen stages run in eval mode, in padded batches of
    one size and with BatchNorm folded, so that a row depends on its image alone.

    Args:
        backbone: Its stages below the cut must not change while this is in use.
        cut: The first stage above, or `"head"` where the whole backbone is frozen.
        precision: Arithmetic of the frozen stages: fp32, bf16 or fp16.

    Raises:
        BackboneError: The backbone cannot be cut there.

    Example:
        >>> from graft.backbones.load import load_backbone
        >>> backbone = load_backbone("resnet18", pretrained=False, image_size=32)
        >>> prefix, images = FrozenPrefix(backbone, "stage4"), torch.rand(2, 3, 32, 32)
        >>> activations = prefix.activations(images)
        >>> activations.shape
        torch.Size([2, 1024])
        >>> prefix.differs(images, activations) is None
        True
    """

    def __init__(self, backbone: Backbone, cut: str, *, precision: str = "fp32") -> None:
        self.backbone = backbone
        self.cut = cut
        self.precision = precision
        self._above = None if cut == HEAD else Cut(backbone, cut)
        if self._above and self._above.dtypes != {torch.float32}:
            raise BackboneError(
                f"What crosses '{cut}' is not of float32 numbers alone.", "It is not cached."
            )
        self._whole = Engine(backbone.module, precision=precision) if cut == HEAD else None
        self._below: Cut | None = None

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes, per image, of the tensors that cross the cut."""
        return self._above.shapes if self._above else ((self.backbone.width,),)

    @property
    def size(self) -> int:
        """Numbers per image."""
        return sum(torch.Size(shape).numel() for shape in self.shapes)

    @torch.no_grad()
    def activations(self, images: Tensor) -> Tensor:
        """Run the frozen stages.

        Args:
            images: Normalised, (N, channels, H, W), on any device.

        Returns:
            Activations (N, size), float32, on the CPU.
        """
        if self._whole is not None:
            return self._whole(images).cpu()
        device = next(self.backbone.module.parameters()).device
        batch = eval_batch(device)
        made = []
        for part, real in padded_batches(images.to(device), batch):
            with autocast(device, self.precision):
                crossing = self._run(part.contiguous(memory_format=torch.channels_last))
            made.append(_pack(crossing)[:real].float().cpu())
        return torch.cat(made)

    def features(self, activations: Tensor) -> Tensor:
        """Run the stages above the cut, with gradients, in the mode they are in.

        Args:
            activations: What `activations` returned for any images, on the backbone's device.

        Returns:
            Features (N, width).
        """
        if self._above is None:
            return activations
        # A copy, because the stages above may begin with an operation in place.
        return self._above.suffix(_unpack(activations.clone(), self.shapes))

    @torch.no_grad()
    def differs(self, images: Tensor, activations: Tensor) -> str | None:
        """Compare activations, wherever they come from, with the whole backbone on the same images.

        Returns:
            How the features differ by more than rounding; None if they do not.
        """
        module = self.backbone.module
        device = next(module.parameters()).device
        with eval_mode(module):
            direct = module(images.to(device, memory_format=torch.channels_last)).float()
            cached = self.features(activations.to(device)).float()
        tolerance = TOLERANCE if self.precision == "fp32" else REDUCED_TOLERANCE
        share = float((direct - cached).abs().max() / direct.abs().max().clamp(min=1e-12))
        if share <= tolerance:
            return None
        return (
            f"features from activations at '{self.cut}' differ from the whole by {share:.1e} "
            f"of the largest, more than {tolerance:.0e}"
        )

    def _run(self, images: Tensor) -> Sequence[Tensor]:
        if self._below is None:
            self._below = self._folded(images)
        return self._below.prefix(images)

    def _folded(self, images: Tensor) -> Cut:
        """Return the frozen part with BatchNorm folded, from a copy of the network."""
        names = [stage.name for stage in self.backbone.stages]
        below = self.backbone.stages[: names.index(self.cut)]
        units = [path for stage in below for path in stage.modules]
        module = fold(self.backbone.module, images, within=units).module
        return Cut(replace(self.backbone, module=module), self.cut)


def _pack(tensors: Sequence[Tensor]) -> Tensor:
    """Return what crosses a cut as one row per image, images in channels-last order."""
    parts = [tensor.permute(0, 2, 3, 1) if tensor.ndim == 4 else tensor for tensor in tensors]
    return torch.cat([part.flatten(1) for part in parts], dim=1)


def _unpack(activations: Tensor, shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """Undo `_pack`, without a copy."""
    tensors = []
    parts = torch.split(activations, [torch.Size(shape).numel() for shape in shapes], dim=1)
    for part, shape in zip(parts, shapes, strict=True):
        if len(shape) == 3:
            channels, height, width = shape
            tensors.append(part.view(-1, height, width, channels).permute(0, 3, 1, 2))
        else:
            tensors.append(part.view(-1, *shape))
    return tensors


CLEAN = 0
"""The view of an image without augmentation."""

OnImages = Callable[[int], None]


class Activations:
    """Activations of the images of a loader: found in a storage, or made from the images.

    Args:
        loader: Gives order, labels and images.
        prefix: Makes activations of images.
        storage: Keeps activations; None makes them anew whenever they are asked for.
    """

    def __init__(self, loader: Loader, prefix: FrozenPrefix, storage: Storage | None) -> None:
        self.loader, self.prefix, self.storage = loader, prefix, storage
        self._names = [_name(sample, row) for row, sample in enumerate(loader.samples)]

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self.loader)

    def missing(self, view: int) -> list[int]:
        """Return the positions of the images whose activations would have to be made."""
        if self.storage is None:
            return list(range(len(self._names)))
        there = self.storage.find(self._ids(range(len(self._names)), view))
        return [position for position, found in enumerate(there) if not found]

    def prepare(self, view: int, on_images: OnImages | None = None) -> None:
        """Make the activations of a view that are not kept yet. Without a storage, do nothing."""
        if self.storage is None:
            return
        with self.storage.writer() as writer:
            for batch in self.loader.some(self.missing(view), view):
                names = self._ids(batch.indices.tolist(), view)
                writer.add(names, self.prefix.activations(batch.inputs).numpy())
                if on_images is not None:
                    on_images(len(batch))

    def epoch(self, number: int, view: int, *, start: int = 0) -> Batches:
        """Yield the batches of `loader.epoch(number, view=view)`, activations as their inputs.

        Whether activations are found or made, they are the same bits.
        """
        if self.storage is None:
            for batch in self.loader.epoch(number, view=view, start=start):
                yield replace(batch, inputs=self.prefix.activations(batch.inputs))
            return
        for positions in self.loader.batches(number)[start:]:
            indices = torch.from_numpy(positions)
            yield Batch(self.read(positions.tolist(), view), self.loader.targets[indices], indices)

    def read(self, positions: Sequence[int], view: int) -> Tensor:
        """Return the activations (N, size) of images, made where missing or damaged."""
        if self.storage is None:
            return self._made(positions, view)
        activations, right = self.storage.read(self._ids(positions, view))
        found = torch.from_numpy(activations)
        if not right.all():
            wrong = np.flatnonzero(~right)
            again = [positions[index] for index in wrong.tolist()]
            found[torch.from_numpy(wrong)] = self._made(again, view)
        return found

    def everything(self, view: int, on_images: OnImages | None = None) -> Tensor:
        """Return the activations (N, size) of all images of the loader, in its samples' order."""
        everything = range(len(self._names))
        if self.storage is None:
            return self._made(everything, view, on_images)
        self.prepare(view, on_images)
        return self.read(everything, view)

    def _made(
        self, positions: Sequence[int], view: int, on_images: OnImages | None = None
    ) -> Tensor:
        made = torch.empty(len(positions), self.prefix.size)
        done = 0
        for batch in self.loader.some(positions, view):
            made[done : done + len(batch)] = self.prefix.activations(batch.inputs)
            done += len(batch)
            if on_images is not None:
                on_images(len(batch))
        return made

    def _ids(self, positions: Sequence[int], view: int) -> list[str]:
        return [f"{self._names[position]}:{view}" for position in positions]


def _name(sample: object, row: int) -> str:
    """Return what an image's activations are found under: its content, or its position."""
    return sample.identity if isinstance(sample, Sample) else str(row)
