"""Weights files: read in every form that people have, refused in words when they do not fit."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from graft.backbones.build import build
from graft.backbones.load import load_backbone
from graft.backbones.providers import find_provider
from graft.backbones.weights import load_weights, read_state
from graft.errors import BackboneError

NAME = "squeezenet1_1"
State = dict[str, Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    network = build(find_provider("torchvision"), {"name": NAME, "options": {}}, seed=7)
    return network.state_dict()


def save_compiled(state: State, file: Path) -> None:
    torch.save({f"_orig_mod.module.{key}": value for key, value in state.items()}, file)


def save_old_format(state: State, file: Path) -> None:
    torch.save(state, file, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize(
    ("file", "save"),
    [
        ("w.safetensors", lambda state, file: save_file(state, file)),
        ("w.pth", lambda state, file: torch.save(state, file)),
        ("w.pt", lambda state, file: torch.save({"state_dict": state, "epoch": 3}, file)),
        ("w.bin", lambda state, file: torch.save({"model": state}, file)),
        ("w.pth", lambda state, file: torch.save({"model_state_dict": state}, file)),
        ("w.pth", save_compiled),
        ("w.pth", save_old_format),
    ],
)
def test_every_form_of_a_state_dict_loads(
    tmp_path: Path, state: State, file: str, save: Callable[[State, Path], None]
) -> None:
    save(state, tmp_path / file)

    module = load_backbone(NAME, weights=tmp_path / file, image_size=64).module

    assert all(torch.equal(value, state[key]) for key, value in module.state_dict().items())


def test_half_precision_files_load_in_single_precision(tmp_path: Path, state: State) -> None:
    save_file({key: value.half() for key, value in state.items()}, tmp_path / "w.safetensors")

    module = load_backbone(NAME, weights=tmp_path / "w.safetensors", image_size=64).module

    assert {value.dtype for value in module.state_dict().values()} == {torch.float32}


@pytest.mark.parametrize("classes", [None, 2])
def test_a_classifier_of_another_size_or_none_does_not_matter(
    tmp_path: Path, state: State, classes: int | None
) -> None:
    changed = {key: value for key, value in state.items() if not key.startswith("classifier")}
    if classes:
        changed["classifier.1.weight"] = torch.zeros(classes, 512, 1, 1)
    torch.save(changed, tmp_path / "w.pth")

    assert load_backbone(NAME, weights=tmp_path / "w.pth", image_size=64).width == 512


def test_weights_of_another_architecture_are_told_apart_and_recognised(
    tmp_path: Path, state: State
) -> None:
    torch.save(state, tmp_path / "squeeze.pth")

    with pytest.raises(BackboneError) as caught:
        load_backbone("mobilenet_v3_small", weights=tmp_path / "squeeze.pth")

    assert "208 of 208 tensors are missing ('features.0.0.weight'" in caught.value.problem
    assert "52 tensors are not part of it ('features.0.weight'" in caught.value.problem
    assert "'squeezenet1_1'" in caught.value.remedy


def test_tensors_of_another_shape_are_named() -> None:
    given = {"weight": torch.zeros(1, 3), "bias": torch.zeros(1)}

    with pytest.raises(BackboneError, match=r"1 have another shape \('weight' is \(1, 3\), not"):
        load_weights(torch.nn.Linear(2, 1), given, source="w")


def test_loading_copies(state: State) -> None:
    layer = torch.nn.Linear(2, 1)
    mine = {"weight": torch.ones(1, 2), "bias": torch.zeros(1)}

    load_weights(layer, mine, source="mine")
    mine["weight"].zero_()

    assert layer.weight.tolist() == [[1.0, 1.0]]


def test_a_pickle_that_holds_code_is_refused_and_never_runs(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "ran",))  # type: ignore[return-value]

    for name, protocol in (("a.pth", None), ("b.pth", 2)):
        if protocol:
            (tmp_path / name).write_bytes(pickle.dumps(Attack(), protocol))
        else:
            torch.save({"w": torch.zeros(1), "x": Attack()}, tmp_path / name)
        with pytest.raises(BackboneError, match=f"'{name}'"):
            read_state(tmp_path / name)

    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_a_damaged_file_is_named(tmp_path: Path, state: State, name: str, kept: float) -> None:
    file = tmp_path / name
    (save_file if file.suffix == ".safetensors" else torch.save)(state, file)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * kept)])

    with pytest.raises(BackboneError, match=f"'{name}' is damaged"):
        read_state(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"no weights file .*nowhere\.pth"):
        read_state(tmp_path / "nowhere.pth")


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"onnx")

    with pytest.raises(BackboneError, match=r"'model\.onnx' is not a weights file"):
        read_state(tmp_path / "model.onnx")


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [torch.zeros(1)], torch.zeros(1)])
def test_a_file_without_a_state_dict_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "w.pth")

    with pytest.raises(BackboneError, match="holds no state dict"):
        read_state(tmp_path / "w.pth")


@pytest.mark.parametrize("kind", [torch.complex64, torch.bool])
def test_complex_and_boolean_tensors_are_refused(
    tmp_path: Path, state: State, kind: torch.dtype
) -> None:
    first = next(iter(state))
    save_file({**state, first: state[first].to(kind)}, tmp_path / "w.safetensors")

    with pytest.raises(BackboneError, match="numbers of another kind"):
        load_backbone(NAME, weights=tmp_path / "w.safetensors", image_size=64)
