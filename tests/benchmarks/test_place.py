import subprocess
import sys
from pathlib import Path

import benchmarks.place
import pytest
from benchmarks.place import HERE, MissingError, Place, environment, prepare


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path / "images", tmp_path / "weights.safetensors", tmp_path)


@pytest.fixture
def started(monkeypatch):
    """The commands that a place would start, and their variables."""
    calls = []
    monkeypatch.setattr(
        benchmarks.place,
        "run",
        lambda command, variables, folder: calls.append((command, variables)),
    )
    return calls


def test_threads_are_torchs_own_and_options_of_graft_do_not_leak_in():
    given = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "GRAFT_LR": "1", "HOME": "/home"}
    kept = environment(given, Path("scratch"), Path("cache"))
    assert not {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "GRAFT_LR"} & set(kept)
    assert kept["HOME"] == "/home"
    assert kept["GRAFT_CACHE"] == "cache"


def test_a_run_has_an_empty_cache_of_its_own_unless_one_is_named(place, started, tmp_path):
    place.graft()
    place.graft()
    place.graft(cache=tmp_path / "kept")
    caches = [variables["GRAFT_CACHE"] for _, variables in started]
    assert len(set(caches)) == 3
    assert not any(Path(cache).exists() for cache in caches)
    assert caches[2] == str(tmp_path / "kept")


def test_every_contestant_gets_the_same_images_and_weights(place, started):
    place.graft()
    place.peer("tutorial", "--epochs", "1")
    place.inside("limit")
    for command, _ in started:
        assert str(place.data) in command
        assert command[command.index("--weights") + 1] == str(place.weights)


def test_every_run_has_a_folder_of_its_own(place, started):
    place.graft()
    place.graft()
    outs = [command[command.index("--out") + 1] for command, _ in started]
    assert len(set(outs)) == 2


def test_without_the_shared_images_the_command_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(benchmarks.place, "SHARED", tmp_path / "shared")
    with (
        pytest.raises(MissingError, match=r"shared/data/hymenoptera.*nothing was measured"),
        prepare(repeat=3, quick=False, full=False),
    ):
        pass


def test_a_quick_place_has_a_few_images_of_every_class_and_split(
    monkeypatch, make_folder, tmp_path
):
    shared = tmp_path / "shared"
    (shared / "weights").mkdir(parents=True)
    (shared / "weights/mobilenet_v2.safetensors").touch()
    counts = {"train/ants": 20, "train/bees": 3, "val/ants": 13, "val/bees": 1}
    (shared / "data").mkdir()
    make_folder(counts).rename(shared / "data/hymenoptera")
    monkeypatch.setattr(benchmarks.place, "SHARED", shared)
    with prepare(repeat=3, quick=True, full=False) as place:
        found = {name: len(list((place.data / name).iterdir())) for name in counts}
        assert place.repeat == 1
    assert found == {"train/ants": 12, "train/bees": 3, "val/ants": 12, "val/bees": 1}
    assert not place.scratch.exists()


@pytest.mark.parametrize("folder", ["peers", "inside"])
def test_the_scripts_stand_where_a_place_looks_for_them(folder):
    assert list((HERE / folder).glob("*.py"))


def test_the_command_lists_its_options():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--only", "nothing"],
        cwd=HERE.parent, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "there is no row 'nothing'" in " ".join(done.stderr.replace("│", "").split())
