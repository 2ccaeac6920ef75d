import re
from dataclasses import replace

import pytest
from benchmarks.finding import Finding
from benchmarks.place import HERE, Place
from benchmarks.process import FailedError, Finished
from benchmarks.row import Row
from benchmarks.rows import ROWS, again, full, memory, peers, start_up, tutorial


class Fake(Place):
    """A place in which every contestant takes as long as it is told."""

    def graft(self, *flags, cache=None, data=None, settings=None):
        again = cache is not None and cache.exists()
        if cache is not None:
            cache.mkdir(parents=True, exist_ok=True)
        seconds = {"train": 0.5, "extract": 4.0}
        images = len(list(data.rglob("*.jpg"))) if data else 0
        said = {"val_accuracy": 0.97, "seconds": seconds}
        return Finished(2.5 if again else 5.0, 10**9 + 1000 * images, said)

    def peer(self, name, *flags):
        if name == "fastai_fine_tune":
            raise FailedError("no such module")
        epochs = [{"seconds": 8.0}] * int(flags[flags.index("--epochs") + 1] if flags else 1)
        return Finished(10 + 8.0 * len(epochs), 0, {"best_val_accuracy": 0.9, "epochs": epochs})

    def inside(self, name, *flags, cache=None):
        said = {
            "photographs": [10.0, 20.0, 20.0, 20.0],
            "synthetic": [20.0, 20.0, 20.0, 25.0],
            "at": 102.5,
        }
        return Finished(4.0, 9 * 10**8, said, started=100.0)

    def command(self, *arguments):
        return Finished(0.25, 10**8, {})


@pytest.fixture
def place(tmp_path):
    return Fake(tmp_path, tmp_path, tmp_path, repeat=2)


def test_names_are_unique_and_the_readme_explains_each():
    names = [row.name for row in ROWS]
    readme = (HERE / "README.md").read_text()
    assert re.findall(r"^\| `([a-z][\w-]+)` \|", readme, re.MULTILINE) == names


def test_the_tutorials_25_epochs_are_start_up_and_25_median_epochs(place):
    long, short, accuracy = tutorial.findings(place)
    assert long.value == pytest.approx((10 + 25 * 8) / 5)
    assert "extrapolated" in long.note
    assert short.value == pytest.approx((10 + 5 * 8) / 5)
    assert accuracy.value == pytest.approx(7)


def test_a_full_run_extrapolates_nothing(tmp_path):
    long, *_ = tutorial.findings(Fake(tmp_path, tmp_path, tmp_path, repeat=1, full=True))
    assert long.value == pytest.approx((10 + 25 * 8) / 5)
    assert long.note == ""


def test_a_peer_that_does_not_run_does_not_end_the_row(place):
    found = {finding.measure.split()[0]: finding for finding in peers.findings(place)}
    assert found["fastai"].value is None
    assert found["fastai"].note == "not measurable with these versions: no such module"
    assert found["timm's"].value is not None


def test_a_step_is_compared_although_fastai_does_not_run(place):
    step, fastai = full.findings(place)
    assert step.value == pytest.approx(1.0)
    assert fastai.verdict == "not measured"


def test_the_same_command_again_is_judged_without_its_head(place, monkeypatch):
    monkeypatch.setattr(again, "_searched", lambda: (20, 5))
    search, hit = again.findings(place)
    assert search.value == pytest.approx(12.5)
    assert search.verdict == "met"
    assert hit.value == pytest.approx(2.0)


def test_a_search_that_is_too_narrow_meets_no_target(place, monkeypatch):
    monkeypatch.setattr(again, "_searched", lambda: (19, 5))
    search, _ = again.findings(place)
    assert search.verdict == "–"
    assert "fewer than 20 values of C x 5 folds" in search.note


def test_the_first_batch_is_waited_for_and_not_the_end_of_its_process(place):
    _, batch = start_up.findings(place)
    assert batch.value == 2.5


def test_a_row_that_takes_long_is_announced_with_one_round_unless_all_are_asked_for(place):
    long, short = (Row("r", "", 2.0, lambda _: [], once=once) for once in (True, False))
    assert [row.expected(place) for row in (long, short)] == [2.0, 4.0]
    assert long.expected(replace(place, full=True)) == 4.0


def test_memory_is_what_the_run_on_most_images_took_above_the_model(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "COUNTS", (20, 60))
    (finding,) = memory.findings(Fake(tmp_path, tmp_path, tmp_path))
    assert finding.value * 1024**3 == pytest.approx(1e8 + 1000 * 60)
    assert finding.target is not None


def test_a_few_images_say_nothing_about_the_target_for_memory(tmp_path):
    (finding,) = memory.findings(Fake(tmp_path, tmp_path, tmp_path, quick=True))
    assert finding.target is None


def test_a_row_that_fails_is_reported_and_does_not_end_the_others(place):
    def fails(place):
        raise FailedError("exit code 1: no disk")

    (finding,) = Row("mine", "this and that", 1, fails).measure(place)
    assert finding == Finding(
        "mine", "", "this and that", None, note="failed, exit code 1: no disk"
    )
