"""Weights from a file or from a server, read without running code and fitted to a network."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from graft.download import download
from graft.errors import BackboneError
from graft.structured import parse_json, read_text, shown


def cached_download(
    url: str,
    folder: Path | None = None,
    *,
    sha256: str | None = None,
    timeout: float = 20.0,
    attempts: int = 3,
) -> Path:
    """Return the local copy of a weights file, downloading it if there is none.

    Args:
        url: Where the file is, by http or https; see `graft.download.download`.
        folder: Where to keep it; default: the cache of `torch.hub`.
        sha256: SHA-256 of the file, or its beginning, where its name does not carry it.
        timeout: Seconds without a byte after which a connection counts as broken.
        attempts: How often to begin, in all, where a connection breaks or a server is busy.

    Raises:
        ResourceError: Graft is offline, the server fails, the checksum differs, or the disk is
            full.

    Example:
        >>> import tempfile
        >>> cache = Path(tempfile.mkdtemp())
        >>> _ = (cache / "tiny.pth").write_bytes(b"weights")
        >>> cached_download("https://example.org/tiny.pth", cache).read_bytes()
        b'weights'
    """
    return download(
        url,
        folder or Path(torch.hub.get_dir()) / "checkpoints",
        what="The pre-trained weights",
        hint="fetch the file elsewhere and pass it with --weights FILE",
        sha256=sha256,
        timeout=timeout,
        attempts=attempts,
    )


WRAPPERS = ("state_dict", "model_state_dict", "model")
PREFIX = re.compile(r"(module\.|_orig_mod\.)+")
INDEX = ".safetensors.index.json"  # names the files among which a large state dict is divided
PICKLES = (".pth", ".pt", ".bin")
SHOWN = 3
REAL = ("F16", "BF16", "F32", "F64")
WHOLE = ("U8", "I8", "I16", "I32", "I64")
OPTIONAL = "num_batches_tracked"  # absent from files older than PyTorch 0.4.1

Header = Mapping[str, tuple[str, tuple[int, ...]]]
"""Number format and shape of the tensors of a safetensors file, by name."""


def read_state(file: Path) -> dict[str, Tensor]:
    """Return the tensors of a weights file by name.

    Wrappers that training scripts put around a state dict, and the prefixes of data-parallel and
    compiled modules, are taken off. Code inside a file never runs.

    Args:
        file: .safetensors, or .pth, .pt, .bin holding tensors only; or the index of several
            .safetensors beside it.

    Raises:
        BackboneError: The file is missing, damaged, of another kind, or holds code.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "weights.pth"
        >>> torch.save({"state_dict": {"module.fc.bias": torch.zeros(2)}}, file)
        >>> read_state(file)
        {'fc.bias': tensor([0., 0.])}
    """
    if not file.is_file():
        raise BackboneError(f"There is no weights file '{file}'.", "Check the path.")
    if file.name.endswith(INDEX):
        return _read_parts(file)
    if file.suffix not in (".safetensors", *PICKLES):
        raise BackboneError(
            f"'{file.name}' is not a weights file that can be read.",
            f"Give a .safetensors file, or a {', '.join(PICKLES)} with a state dict.",
        )
    content = _read(file)
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    tensors = content if isinstance(content, Mapping) else {}
    state = {PREFIX.sub("", k, 1) if PREFIX.match(k) else k: v for k, v in tensors.items()}
    if not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise BackboneError(
            f"'{file.name}' holds no state dict (tensors by name).",
            "Save model.state_dict(), not the model itself.",
        )
    return state


def read_header(file: Path) -> Header:
    """Return number format and shape of every tensor in a safetensors file; no tensor is read.

    Raises:
        BackboneError: The file is missing or damaged.

    Example:
        >>> import tempfile
        >>> from safetensors.torch import save_file
        >>> file = Path(tempfile.mkdtemp()) / "weights.safetensors"
        >>> save_file({"bias": torch.zeros(2)}, file)
        >>> read_header(file)
        {'bias': ('F32', (2,))}
    """
    try:
        with safe_open(file, framework="pt") as opened:
            parts = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118
            return {
                name: (part.get_dtype(), tuple(part.get_shape())) for name, part in parts.items()
            }
    except Exception as error:  # safetensors raises its own, untyped error for a damaged file
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise BackboneError(
            f"'{file.name}' is damaged: {reason}.", "Copy or download it again."
        ) from error


def compare_header(header: Header, module: nn.Module, prefix: str) -> None:
    """Refuse a file that does not hold exactly a module's tensors under a prefix.

    Args:
        header: Of the file.
        module: May be on the meta device.
        prefix: What the names in the file begin with.

    Raises:
        BackboneError: A tensor is missing, left over, of another shape, or of another kind.
    """
    own = {f"{prefix}{name}": tensor for name, tensor in module.state_dict().items()}
    there = {name: facts for name, facts in header.items() if name.startswith(prefix)}
    for name in (*own, *there):
        if name not in there or name not in own:
            where = "not there" if name not in there else "not part of the network"
            raise BackboneError(f"The tensor {shown(name)} is {where}.")
        (kind, shape), tensor = there[name], own[name]
        kinds = _kinds(tensor)
        if shape != tuple(tensor.shape) or kind not in kinds:
            raise BackboneError(
                f"The tensor '{name}' is {kind} of shape {shape}, not {' or '.join(kinds)} of "
                f"shape {tuple(tensor.shape)}."
            )


def _kinds(tensor: Tensor) -> tuple[str, ...]:
    """Return the number formats in a file that a tensor can be read from."""
    if tensor.dtype == torch.bool:
        return ("BOOL",)
    return REAL if tensor.is_floating_point() else WHOLE


def load_weights(
    module: nn.Module,
    state: Mapping[str, Tensor],
    *,
    source: str,
    without: tuple[str, ...] = (),
    recognise: Callable[[], str | None] = lambda: None,
) -> None:
    """Put a copy of a state dict into a module, in the module's own number formats.

    Args:
        module: Takes every tensor but those of `without`; may be on the meta device.
        state: Tensors by name.
        source: What to call the state dict in errors.
        without: Paths of layers that the module no longer has; their tensors are ignored.
        recognise: Names the architecture that the state dict belongs to, if it can.

    Raises:
        BackboneError: A tensor is missing, left over, of another shape, or complex or boolean where
            real numbers are wanted.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> load_weights(layer, {"weight": torch.ones(1, 2), "bias": torch.zeros(1)}, source="x")
        >>> layer.weight.tolist()
        [[1.0, 1.0]]
    """
    own = module.state_dict()
    kept = {
        name: value
        for name, value in state.items()
        if not any(name.startswith(f"{path}.") for path in without)
    }
    problems = _differences(own, kept)
    if problems:
        guess = recognise()
        remedy = f"It fits '{guess}': choose that backbone." if guess else "Give weights that fit."
        raise BackboneError(f"{source} does not fit the backbone: {problems}.", remedy)
    # Into the module's own state dict, which carries torch's version marks with it.
    own.update(
        (name, kept[name].to(tensor.dtype, copy=True))
        for name, tensor in own.items()
        if name in kept
    )
    module.load_state_dict(own, assign=True)


def _read(file: Path) -> Any:
    """Return what a weights file holds."""
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can fail anywhere in the reader
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        if isinstance(error, pickle.UnpicklingError) and "GLOBAL" in str(error):
            raise BackboneError(
                f"'{file.name}' holds more than tensors, and reading it would run its code.",
                "Save model.state_dict() as .safetensors where you trust the file.",
            ) from error
        raise BackboneError(
            f"'{file.name}' is damaged: {reason}.", "Copy or download it again."
        ) from error


def _read_parts(index: Path) -> dict[str, Tensor]:
    """Return the tensors of the files that an index names."""
    try:
        parts = sorted(set(parse_json(read_text(index))["weight_map"].values()))
        files = [index.parent / Path(part).name for part in parts]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackboneError(
            f"'{index.name}' is damaged: {error!r}.", "Copy or download it again."
        ) from error
    return {name: tensor for file in files for name, tensor in read_state(file).items()}


def _differences(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """Say how a state dict differs from a module's own, "" if it does not."""
    expected = [n for n in own if not n.endswith(OPTIONAL)]
    missing = [n for n in expected if n not in given]
    unknown = [n for n in given if n not in own and not n.endswith(OPTIONAL)]
    shapes = [
        f"'{n}' is {tuple(given[n].shape)}, not {tuple(own[n].shape)}"
        for n in own
        if n in given and given[n].shape != own[n].shape
    ]
    kinds = [
        f"'{n}' is {given[n].dtype}, not {own[n].dtype}".replace("torch.", "")
        for n in own
        if n in given and not _converts(given[n], own[n])
    ]
    parts = (
        _count(f"of {len(expected)} tensors are missing", [f"'{n}'" for n in missing]),
        _count("tensors are not part of it", [f"'{n}'" for n in unknown]),
        _count("have another shape", shapes),
        _count("are numbers of another kind", kinds),
    )
    return "; ".join(part for part in parts if part)


def _converts(given: Tensor, own: Tensor) -> bool:
    """Whether a tensor's numbers can stand for another's: real ones, and true or false as such."""
    unusual = [(each.is_complex(), each.dtype == torch.bool) for each in (given, own)]
    return unusual[0] == unusual[1]


def _count(words: str, examples: list[str]) -> str:
    shown = ", ".join(examples[:SHOWN]) + (", ..." if len(examples) > SHOWN else "")
    return f"{len(examples)} {words} ({shown})" if examples else ""
