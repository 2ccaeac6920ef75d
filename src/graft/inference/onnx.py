"""A frozen network exported to ONNX Runtime, for very many images on a CPU, and proved equal."""

from __future__ import annotations

import warnings
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from graft.files import replacing
from graft.inference.agreement import differ, full_precision, in_words, resting

PAYS_FROM = 4000
"""Images from which on an export is made up for. On two cores at 224 px, MobileNetV2's takes 1.3 s
and then 0.7 ms less per image than folded torch, which is even at 1,900; SqueezeNet's 0.6 s and
0.6 ms; a ViT-B/32's 6 s and 20 ms; ResNet-18 gains and loses nothing."""

_NEEDS = ("onnx", "onnxruntime")
_INPUT = "images"


def worth_exporting(images: int) -> bool:
    """Whether a network should go through ONNX Runtime, where that is installed.

    The two engines agree to rounding, not to the bit. So this follows from what is asked for, never
    from a clock or from what a cache holds: the same command gets the same numbers.

    Args:
        images: How many will go through it, each as often as it would without any cache.

    Example:
        >>> worth_exporting(100)
        False
    """
    return images >= PAYS_FROM and all(find_spec(name) for name in _NEEDS)


def engine_facts() -> dict[str, str]:
    """Return what an exported engine's numbers depend on besides its network and image size."""
    return {name: version(name) for name in ("torch", *_NEEDS)}


class OnnxEngine:
    """A network that ONNX Runtime runs on the CPU, in batches of one size.

    Args:
        path: What `export` wrote.
    """

    def __init__(self, path: Path) -> None:
        runtime = import_module("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what goes wrong is raised
        # Threads that wait do so asleep: the cores are wanted for decoding.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = runtime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        """Run the network.

        Args:
            images: Normalised, on the CPU, as many as were exported with.

        Returns:
            What the network returns, as a tuple also where that is a single tensor.
        """
        given = {_INPUT: images.detach().contiguous().numpy()}
        return tuple(torch.from_numpy(made) for made in self._session.run(None, given))


@dataclass(frozen=True)
class Exported:
    """An engine, or why there is none.

    Args:
        engine: Maps images as the network does.
        refused: In words, where there is none.
    """

    engine: OnnxEngine | None = None
    refused: str | None = None


def export(module: nn.Module, example: Tensor, path: Path) -> Exported:
    """Return an engine that does what a network does in eval mode, proved on real images.

    Args:
        module: Maps images (N, channels, H, W) on the CPU to a tensor, or to a tuple of them. It is
            left as it is.
        example: Real images, normalised, as many as every batch will have.
        path: A file that is named after everything the engine depends on: weights, architecture,
            shape of `example`, `engine_facts()`. It is opened where it is there and sound, else
            written, whole or not at all.
    """
    if example.device.type != "cpu":
        return Exported(refused=f"ONNX Runtime is not used: the network runs on {example.device}")
    try:
        with torch.no_grad(), full_precision(example.device):
            return Exported(_engine(module, example, path))
    except Exception as error:  # the exporter knows many ways to say that it cannot
        with suppress(OSError):
            path.unlink()
        return Exported(refused=f"ONNX Runtime is not used: {in_words(error)}")


def _engine(module: nn.Module, images: Tensor, path: Path) -> OnnxEngine:
    with resting(module):
        made = module(images)
        exact = made if isinstance(made, tuple) else (made,)
        try:
            return _proved(path, images, exact)
        except Exception:  # it is not there, or damaged, or another network's
            _write(module, images, path)
    return _proved(path, images, exact)


def _proved(path: Path, images: Tensor, exact: tuple[Tensor, ...]) -> OnnxEngine:
    engine = OnnxEngine(path)
    for right, made in zip(exact, engine(images), strict=True):
        if reason := differ(right, made):
            raise RuntimeError(reason)
    return engine


def _write(module: nn.Module, images: Tensor, path: Path) -> None:
    """Export a network by tracing it, which takes a fraction of the newer exporter's time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # ONNX has no such operation
    try:
        with warnings.catch_warnings(), replacing(path) as temporary:
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                (images.contiguous(),),
                str(temporary),
                input_names=[_INPUT],
                dynamo=False,
                # An operator that ONNX lacks is left for the runtime to refuse in a line: the
                # exporter would write the whole graph to standard output.
                operator_export_type=torch.onnx.OperatorExportTypes.ONNX_FALLTHROUGH,
            )
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
