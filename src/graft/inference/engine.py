"""A faster form of a network, whose output for an image has the same bits in any batch.

The order in which a kernel sums depends on the shapes that it is given, never on the numbers. So
whether one image gets the same bits alone and in a full batch is tested once per network, size
and number of threads, on noise. Where it does not, the batch is padded with zeros.
"""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock

import torch
from torch import Tensor, nn

from graft.inference.agreement import TOLERANCE, autocast, differ, eval_mode
from graft.inference.folding import fold

_EVAL_BATCH = {"cpu": 8}
_EVAL_BATCH_ELSEWHERE = 64

_ALIGNMENT = 64
"""Bytes on which torch begins a tensor of its own; a view may begin elsewhere, and get other
bits."""


def eval_batch(device: torch.device) -> int:
    """Return the number of images per forward pass where nothing is learned.

    On a CPU a small batch stays in its cache.

    Args:
        device: Where the network is.
    """
    return _EVAL_BATCH.get(device.type, _EVAL_BATCH_ELSEWHERE)


class Engine:
    """A network in eval mode with BatchNorm folded; an image gets the same bits in any batch.

    It is prepared when it is first called, and may be called from several threads at once.

    Args:
        module: Images (N, channels, H, W) to a tensor with a row per image. It is left as it is,
            and must neither change nor move while this is in use.
        batch: Images of a full batch, whose bits every batch gets; None takes `eval_batch`.
        precision: Arithmetic: "fp32", "bf16" or "fp16".

    Example:
        >>> engine = Engine(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()))
        >>> images = torch.rand(11, 3, 8, 8)
        >>> torch.equal(engine(images)[10:], engine(images[10:]))
        True
    """

    def __init__(
        self, module: nn.Module, batch: int | None = None, *, precision: str = "fp32"
    ) -> None:
        self.device = next(module.parameters()).device
        self.batch = batch or eval_batch(self.device)
        self.precision = precision
        self._module = module
        self._quick: nn.Module | None = None
        self._proved: dict[tuple[int, int], bool] = {}
        self._lock = Lock()

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Run the network.

        Args:
            images: Shape (N, channels, H, W), normalised, on any device.

        Returns:
            Its rows (N, ...), float32, on the network's device.
        """
        images = images.to(self.device)
        with autocast(self.device, self.precision):
            quick = self._ready(images)
            if len(images) == self.batch:
                return self._run(quick, images)
            parts = [self._part(quick, part) for part in torch.split(images, self.batch)]
            return torch.cat(parts)

    def _ready(self, images: Tensor) -> nn.Module:
        with self._lock:
            if self._quick is None:
                folded = fold(self._module, images)
                self._quick = folded.module
                if folded.refused is None and self.precision == "fp32":
                    self._quick = with_direct_convolutions(folded.module, images)
            return self._quick

    def _part(self, quick: nn.Module, images: Tensor) -> Tensor:
        """Run a batch that may be short."""
        count = len(images)
        if count == self.batch or self._is_proved(quick, images):
            return self._run(quick, images)
        filling = images.new_zeros(self.batch - count, *images.shape[1:])
        return self._run(quick, torch.cat([images, filling]))[:count]

    def _is_proved(self, quick: nn.Module, images: Tensor) -> bool:
        """Whether so few images get the same bits as in a full batch.

        For more than half a batch it is not worth finding out.
        """
        count = len(images)
        if self.device.type != "cpu" or not 0 < count <= self.batch // 2:
            return False
        size = count, torch.get_num_threads()
        with self._lock:
            if size not in self._proved:
                noise = _noise(self.batch, images)
                whole = self._run(quick, noise)
                self._proved[size] = torch.equal(self._run(quick, noise[:count]), whole[:count])
            return self._proved[size]

    def _run(self, quick: nn.Module, images: Tensor) -> Tensor:
        images = images.contiguous(memory_format=torch.channels_last)
        if images.data_ptr() % _ALIGNMENT:
            images = images.clone(memory_format=torch.channels_last)
        with eval_mode(quick):
            rows: Tensor = quick(images)
        return rows.float().contiguous()


class DirectConv2d(nn.Conv2d):
    """A convolution that oneDNN always computes.

    torch leaves one small image, or few of them on a single thread, to another kernel, which rounds
    otherwise.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Convolve (N, channels, H, W)."""
        if input.dim() != 4 or not input.dtype == self.weight.dtype == torch.float32:
            return super().forward(input)
        return torch.ops.aten.mkldnn_convolution(  # type: ignore[no-any-return]
            input, self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups
        )


def with_direct_convolutions(network: nn.Module, images: Tensor) -> nn.Module:
    """Let oneDNN compute every convolution of a network on the CPU, if that proves equal.

    Args:
        network: A copy of one's own, changed in place.
        images: Of the shape that it receives.

    Returns:
        The network, with the convolutions that it had where the new ones differ or fail.
    """
    if images.device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return network
    plain = [
        each
        for each in network.modules()
        if type(each) is nn.Conv2d
        and each.padding_mode == "zeros"
        and not isinstance(each.padding, str)
    ]
    noise = _noise(1, images)
    exact = network(noise)
    try:
        for each in plain:
            each.__class__ = DirectConv2d
        refused = differ(exact, network(noise), TOLERANCE / 4)
    except Exception as error:  # a network's code may fail in any way on a changed network
        refused = str(error)
    if refused is not None:
        for each in plain:
            each.__class__ = nn.Conv2d
    return network


def _noise(count: int, images: Tensor) -> Tensor:
    generator = torch.Generator(device="cpu").manual_seed(0)
    size = count, *images.shape[1:]
    noise = torch.randn(size, generator=generator, dtype=torch.float32, device="cpu")
    return noise.to(images.device, images.dtype)


@torch.no_grad()
def run_head(head: nn.Module, features: Tensor, batch: int) -> Tensor:
    """Run a head over features (N, width) that an engine made, in padded batches.

    The logits are bit for bit those of the whole model on the same images.

    Args:
        head: Features to logits; left as it is.
        features: As from `Engine`, on any device.
        batch: The model's `eval_batch`.

    Returns:
        Logits (N, outputs), float32, on the CPU.
    """
    device = next(head.parameters(), features).device
    made = []
    with eval_mode(head), autocast(device, "fp32"):
        for part, real in padded_batches(features.to(device), batch):
            logits: Tensor = head(part)
            made.append(logits.float()[:real].cpu())
    return torch.cat(made)


def padded_batches(rows: Tensor, batch: int) -> Iterator[tuple[Tensor, int]]:
    """Yield rows in batches of one size, the last filled with zeros, and how many are real.

    Example:
        >>> [(len(part), real) for part, real in padded_batches(torch.ones(5, 2), 4)]
        [(4, 4), (4, 1)]
    """
    if len(rows) == batch:
        yield rows, batch
        return
    # Copies of the others, since a network's last bits may depend on where in memory rows begin.
    for part in torch.split(rows, batch):
        yield torch.cat([part, part.new_zeros(batch - len(part), *part.shape[1:])]), len(part)
