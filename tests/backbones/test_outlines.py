"""What tracing found is kept for the next process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.test_startup import loaded_after
from torch import nn

from graft.backbones.anatomy import Anatomy, dissect
from graft.backbones.backbone import Backbone
from graft.backbones.load import draft_backbone
from graft.backbones.outlines import remembered
from graft.data.preprocess import Preprocess


def outline(cache: Path | str, name: str = "squeezenet1_1", **options: int) -> Backbone:
    return draft_backbone(name, pretrained=False, cache=cache, **options).outline()


@pytest.fixture
def no_tracing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Anatomy:
        raise AssertionError("it traces")

    for name in ("dissect", "resize"):
        monkeypatch.setattr(f"graft.backbones.load.{name}", refuse)


@pytest.mark.parametrize("options", [{}, {"image_size": 96}, {"channels": 1}, {"channels": 5}])
def test_a_kept_outline_is_the_traced_one(
    tmp_path: Path, options: dict[str, int], request: pytest.FixtureRequest
) -> None:
    traced = outline(tmp_path, **options)
    request.getfixturevalue("no_tracing")

    kept = outline(tmp_path, **options)

    assert kept.record() == traced.record()
    shapes = {name: tensor.shape for name, tensor in traced.module.state_dict().items()}
    assert {name: tensor.shape for name, tensor in kept.module.state_dict().items()} == shapes


@pytest.mark.parametrize("options", [{"image_size": 96}, {"channels": 1}])
def test_other_images_have_an_outline_of_their_own(tmp_path: Path, options: dict[str, int]) -> None:
    outline(tmp_path)

    assert outline(tmp_path, **options).record() == outline("off", **options).record()


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"classifier": 3}', b"\xff"])
def test_a_damaged_outline_is_made_again(tmp_path: Path, damage: bytes) -> None:
    traced = outline(tmp_path)
    [file] = (tmp_path / "notes").iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage)

    assert outline(tmp_path).record() == traced.record()
    assert file.read_bytes() == whole


def test_an_outline_that_lacks_a_tensor_of_the_network_is_made_again(tmp_path: Path) -> None:
    traced = outline(tmp_path)
    [file] = (tmp_path / "notes").iterdir()
    record = json.loads(file.read_bytes())
    del record["stages"][0]["parameters"][0]
    file.write_text(json.dumps(record))

    assert outline(tmp_path).record() == traced.record()


def test_with_the_cache_off_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFT_CACHE", str(tmp_path))

    outline("off")

    assert not list(tmp_path.iterdir())


def test_where_nothing_can_be_written_the_network_is_traced_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "notes").touch()

    assert outline(tmp_path).width == 512


def test_a_network_of_somebody_elses_provider_is_traced_each_time(tmp_path: Path) -> None:
    layers = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, 2), nn.Flatten(), nn.Linear(8, 5)
    network = nn.Sequential(*layers)
    found = []

    def find() -> Anatomy:
        found.append(dissect(network, Preprocess(5)))
        return found[-1]

    for _ in range(2):
        remembered(tmp_path, "mine", {}, network, find)

    assert len(found) == 2


def test_a_second_start_loads_no_symbolic_mathematics(tmp_path: Path) -> None:
    outline(tmp_path)
    code = (
        "from graft.backbones.load import draft_backbone\n"
        f"draft_backbone('squeezenet1_1', pretrained=False, cache={str(tmp_path)!r}).outline()"
    )

    assert not {"sympy", "torch.fx.experimental.symbolic_shapes"} & loaded_after(code)
