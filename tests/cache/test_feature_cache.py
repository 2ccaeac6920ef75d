"""Promises of the feature cache: a row is found only if all that determines it is the same."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from graft.cache.activations import FrozenPrefix
from graft.cache.feature_cache import FeatureCache


def ask(cache, loader, prefix, weights="abc", uses=1):
    return cache.activations("training images", loader, prefix, weights, views=[1], uses=uses)


def fill(folder, loader, prefix):
    activations = ask(FeatureCache(folder), loader, prefix)
    activations.everything(1)
    return activations


def found(folder, loader, prefix, weights="abc"):
    activations = ask(FeatureCache(folder), loader, prefix, weights)
    return len(loader.samples) - len(activations.missing(1))


@pytest.fixture
def prefix(backbone):
    return FrozenPrefix(backbone, "stage2")


def test_the_same_question_finds_every_row_and_runs_no_frozen_stage(
    make_loader, prefix, tmp_path, monkeypatch
):
    made = fill(tmp_path, make_loader(), prefix).everything(1)
    monkeypatch.setattr(FrozenPrefix, "activations", None)
    cache = FeatureCache(tmp_path)
    assert torch.equal(ask(cache, make_loader(), prefix).everything(1), made)
    assert [(kept.where, kept.found) for kept in cache.decisions] == [("disk", 1)]


@pytest.mark.parametrize(
    "changed",
    ["weights", "cut", "precision", "preprocess", "augment", "seed", "backbone", "removed"],
)
def test_a_row_is_not_found_if_anything_that_determines_it_differs(
    make_loader, backbone, prefix, tmp_path, changed
):
    fill(tmp_path, make_loader(), prefix)
    loader, weights = make_loader(), "abc"
    if changed == "weights":
        weights = "abd"
    elif changed == "cut":
        prefix = FrozenPrefix(backbone, "stage1")
    elif changed == "precision":
        prefix = FrozenPrefix(backbone, "stage2", precision="bf16")
    elif changed == "preprocess":
        loader.preprocess = replace(loader.preprocess, mean=(0.4, 0.5, 0.5))
    elif changed == "augment":
        loader = make_loader("hflip")
    elif changed == "seed":
        loader = make_loader(seed=1)
    elif changed == "backbone":
        prefix = FrozenPrefix(replace(backbone, architecture={"name": "other"}), "stage2")
    elif changed == "removed":
        prefix = FrozenPrefix(replace(backbone, removed=("classifier",)), "stage2")
    assert found(tmp_path, loader, prefix, weights) == 0


def test_another_version_of_anything_that_makes_rows_finds_none(
    make_loader, prefix, tmp_path, monkeypatch
):
    import graft.cache.feature_cache as module

    fill(tmp_path, make_loader(), prefix)
    for name, other in (("decoder", lambda: "another"), ("FORMAT", 0)):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, other)
            assert found(tmp_path, make_loader(), prefix) == 0
    assert found(tmp_path, make_loader(), prefix) == 14


def test_clean_views_are_shared_by_runs_of_other_seeds_and_augmentations(
    make_loader, prefix, tmp_path
):
    ask(FeatureCache(tmp_path), make_loader("none", seed=0), prefix).everything(0)
    activations = ask(FeatureCache(tmp_path), make_loader("none", seed=1), prefix)
    assert activations.missing(0) == []


def test_a_file_with_another_content_is_another_image(make_loader, prefix, tmp_path, manifest):
    fill(tmp_path, make_loader(), prefix)
    loader = make_loader()
    loader.samples = [replace(loader.samples[0], sha256="0" * 64), *loader.samples[1:]]
    assert found(tmp_path, loader, prefix) == 13


def test_images_without_a_content_hash_stay_in_memory(make_loader, prefix, tmp_path):
    loader = make_loader()
    loader.samples = [sample.path for sample in loader.samples]
    cache = FeatureCache(tmp_path)
    ask(cache, loader, prefix, uses=9).everything(1)
    assert [kept.where for kept in cache.decisions] == ["memory"]
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_a_cache_that_is_off_keeps_nothing_and_says_so(make_loader, prefix):
    cache = FeatureCache.at(None)
    activations = ask(cache, make_loader(), prefix, uses=9)
    activations.everything(1)
    assert len(activations.missing(1)) == 14
    assert not cache.keeps
    assert "the cache is off" in str(cache.decisions[0])


def test_rows_that_are_wrong_though_undamaged_fail_the_proof(make_loader, prefix, tmp_path):
    activations = fill(tmp_path, make_loader(), prefix)
    cache = FeatureCache(tmp_path)
    assert cache.prove(ask(cache, make_loader(), prefix), 1) is None
    other = FeatureCache(tmp_path / "other")
    wrong = ask(other, make_loader(), prefix)
    names = wrong._ids(range(14), 1)
    with wrong.storage.writer() as writer:
        writer.add(names, activations.everything(1).numpy() + 1)
    assert "differ from the whole by" in other.prove(wrong, 1)


def test_every_decision_is_told_and_can_be_written_down(make_loader, prefix, tmp_path):
    told = []
    cache = FeatureCache(tmp_path, on_decision=told.append)
    ask(cache, make_loader(), prefix)
    assert [str(kept) for kept in told] == [str(kept) for kept in cache.decisions]
    [record] = cache.records()
    assert set(record) == {"what", "cut", "where", "found", "reason"}


def test_a_folder_that_cannot_be_written_costs_no_run(make_loader, prefix, tmp_path):
    (tmp_path / "file").write_text("in the way")
    cache = FeatureCache(tmp_path / "file" / "features")
    activations = ask(cache, make_loader(), prefix, uses=9)
    assert activations.everything(1).shape == (14, prefix.size)


def test_images_that_epochs_look_at_again_are_kept_and_the_reason_has_what_was_measured(
    make_loader, tmp_path
):
    told = []
    loader = make_loader()
    cache = FeatureCache(tmp_path, on_decision=told.append)
    assert cache.images(loader.samples, loader.preprocess, looks=5) is not None
    [kept] = told
    assert (kept.cut, kept.where) == ("pixels", "memory")
    assert str(kept).startswith("Decoded images of all images: memory; ")
    assert "each is looked at 5 times" in kept.reason


def test_images_that_are_looked_at_once_are_not_kept(make_loader, tmp_path):
    loader = make_loader()
    assert FeatureCache(tmp_path).images(loader.samples, loader.preprocess, looks=1) is None


def test_with_the_cache_off_no_image_is_kept(make_loader):
    loader = make_loader()
    cache = FeatureCache.at(None)
    assert cache.images(loader.samples, loader.preprocess, looks=5) is None
    assert cache.decisions == []
