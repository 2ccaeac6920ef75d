"""A frozen network exported to ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from graft.backbones.cut import Cut
from graft.backbones.load import load_backbone
from graft.inference import onnx
from graft.inference.onnx import engine_facts, export, worth_exporting
from tests.inference.networks import WIDTH, build, conv

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def images(count: int = 4, side: int = 8, channels: int = WIDTH, seed: int = 1) -> Tensor:
    made = torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(seed))
    return made.contiguous(memory_format=torch.channels_last)


def close(exact: Tensor, quick: Tensor) -> bool:
    return bool((exact - quick).abs().max() <= 1e-4 * exact.abs().max())


@pytest.fixture
def network() -> nn.Module:
    return build(["plain", "depthwise", "norm first"])[0].eval()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "engines" / "key.onnx"


@torch.no_grad()
def test_an_engine_does_what_the_network_does(network: nn.Module, path: Path) -> None:
    exported = export(network.train(), images(), path)

    assert exported.refused is None
    assert network.training
    (made,) = exported.engine(images(seed=2))
    assert close(network.eval()(images(seed=2)), made)


def test_a_row_depends_on_its_image_alone(network: nn.Module, path: Path) -> None:
    engine = export(network, images(), path).engine
    batch = images()

    (whole,) = engine(batch)

    assert torch.equal(engine(batch.roll(1, 0))[0].roll(-1, 0), whole)
    batch[1:] = 0
    assert torch.equal(engine(batch)[0][0], whole[0])


def test_an_engine_may_be_made_and_used_in_inference_mode(network: nn.Module, path: Path) -> None:
    with torch.inference_mode():
        exported = export(network, images() + 0, path)
        (made,) = exported.engine(images() + 0)

    assert exported.refused is None
    assert torch.equal(made, exported.engine(images())[0])


def test_an_engine_that_is_there_is_not_made_again(
    network: nn.Module, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (made,) = export(network, images(), path).engine(images())
    monkeypatch.setattr(onnx, "_write", None)

    assert torch.equal(export(network, images(), path).engine(images())[0], made)


@pytest.mark.parametrize("damage", ["cut short", "another network's", "of another batch size"])
def test_a_file_that_is_not_sound_is_made_again(
    network: nn.Module, path: Path, damage: str
) -> None:
    (made,) = export(network, images(), path).engine(images())
    if damage == "cut short":
        path.write_bytes(path.read_bytes()[:500])
    elif damage == "another network's":
        export(build(["plain"], seed=5)[0], images(), path.with_name("other.onnx"))
        path.with_name("other.onnx").replace(path)
    else:
        path.unlink()
        export(network, images(5), path)

    assert torch.equal(export(network, images(), path).engine(images())[0], made)


def test_an_engine_that_differs_is_refused(
    network: nn.Module, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, other = onnx._write, build(["plain", "depthwise", "norm first"], seed=5)[0].eval()
    monkeypatch.setattr(onnx, "_write", lambda _, batch, path: write(other, batch, path))

    exported = export(network, images(), path)

    assert exported.engine is None
    assert exported.refused.startswith("ONNX Runtime is not used: its numbers differ by")
    assert list(path.parent.iterdir()) == []


def test_what_cannot_be_exported_is_refused_in_one_line_and_in_silence(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    class Inverse(nn.Module):
        def forward(self, batch: Tensor) -> Tensor:
            return torch.linalg.qr(batch)[0]

    exported = export(Inverse(), images(), path)

    assert exported.engine is None
    assert exported.refused.startswith("ONNX Runtime is not used: ")
    assert "\n" not in exported.refused
    assert capfd.readouterr() == ("", "")
    assert list(path.parent.iterdir()) == []


def test_an_export_that_succeeds_is_silent_too(
    network: nn.Module,
    path: Path,
    capfd: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
) -> None:
    assert export(network, images(), path).refused is None

    assert capfd.readouterr() == ("", "")
    assert list(recwarn) == []


def test_a_network_elsewhere_than_on_the_cpu_is_refused(path: Path) -> None:
    exported = export(conv().to("meta"), images().to("meta"), path)

    assert exported.refused == "ONNX Runtime is not used: the network runs on meta"


def test_a_folder_that_cannot_be_written_is_no_error(network: nn.Module, path: Path) -> None:
    path.parent.write_text("a file")

    assert "ONNX Runtime is not used" in export(network, images(), path).refused


def test_attention_can_be_exported(path: Path) -> None:
    backbone = load_backbone("vit_b_32", pretrained=False, image_size=32)
    backbone.module.encoder.layers = backbone.module.encoder.layers[:1]

    exported = export(backbone.module, images(2, 32, 3), path)

    assert exported.refused is None
    assert torch.backends.mha.get_fastpath_enabled()


def test_the_part_below_a_cut_can_be_exported(path: Path) -> None:
    backbone = load_backbone("squeezenet1_1", pretrained=False, image_size=64)
    cut = Cut(backbone, "stage2")

    class Prefix(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = backbone.module

        def forward(self, batch: Tensor) -> tuple[Tensor, ...]:
            return cut.prefix(batch)

    exported = export(Prefix(), images(2, 64, 3), path)

    assert exported.refused is None
    for exact, made in zip(
        cut.prefix(images(2, 64, 3, seed=2)), exported.engine(images(2, 64, 3, seed=2)), strict=True
    ):
        assert close(exact, made)


def test_few_images_are_not_worth_an_export() -> None:
    assert not worth_exporting(onnx.PAYS_FROM - 1)
    assert worth_exporting(onnx.PAYS_FROM)


def test_nothing_is_worth_an_export_without_the_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx, "find_spec", lambda name: None if name == "onnxruntime" else name)

    assert not worth_exporting(10**9)


def test_facts_name_every_version_that_numbers_depend_on() -> None:
    assert engine_facts().keys() == {"torch", "onnx", "onnxruntime"}
