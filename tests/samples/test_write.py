"""Samples by name: what is written is what is said, and what `fit` reads."""

from __future__ import annotations

import pytest

from graft.data.scan import scan
from graft.errors import RecipeError
from graft.samples import SAMPLES, write_samples


@pytest.mark.parametrize("name", ["digits", "digits-m"])
def test_what_is_said_is_what_a_scan_finds(tmp_path, name):
    written = write_samples(name, tmp_path / "s")
    manifest = scan(tmp_path / "s")
    assert written["images"] == {
        split: len(manifest.subset(split)) for split in ("train", "val", "test")
    }
    assert tuple(written["classes"]) == manifest.classes
    assert not manifest.set_aside
    assert set(written) == {"samples", "path", "classes", "images", "source", "licence"}


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path):
    with pytest.raises(RecipeError, match="'digits-m'") as caught:
        write_samples("digitsm", tmp_path / "s")
    assert caught.value.exit_code == 2
    assert not (tmp_path / "s").exists()


def test_every_set_says_whose_it_is_and_under_which_licence():
    assert all(known.source and known.licence and known.summary for known in SAMPLES.values())
