from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.data.manifest import Manifest, Sample, assign_splits, limit_training, stratified_order
from graft.data.scan import scan
from graft.data.target import CLASSIFICATION, MULTILABEL, REGRESSION
from graft.errors import RecipeError


def sample(content: int, label: str = "ants", split: str = "", name: str = "") -> Sample:
    return Sample(f"/{label}/{name or content}.jpg", label, split, f"{content:064x}", 4, 4)


def manifest_of(*samples: Sample) -> Manifest:
    return Manifest(samples, root="/")


def split_of(manifest: Manifest) -> dict[str, str]:
    return {sample.path: sample.split for sample in manifest.samples}


manifests = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from(["ants", "bees", "wasps"])), min_size=1
).map(
    lambda rows: manifest_of(
        *(sample(content, label, name=str(n)) for n, (content, label) in enumerate(rows))
    )
)


@settings(max_examples=60, deadline=None)
@given(manifests, st.integers(0, 5))
def test_copies_stay_together_and_names_and_order_do_not_matter(manifest, seed):
    drawn = assign_splits(manifest, test_fraction=0.2, seed=seed)
    by_content = {(s.sha256, s.split) for s in drawn.samples}
    assert len(by_content) == len({s.sha256 for s in drawn.samples})
    renamed = tuple(replace(s, path=f"/other/{s.path}") for s in reversed(manifest.samples))
    again = assign_splits(Manifest(renamed, root="/"), test_fraction=0.2, seed=seed)
    assert {(s.sha256, s.split) for s in again.samples} == by_content


@pytest.mark.parametrize("seed", range(5))
def test_copies_in_another_class_do_not_take_a_class_its_share(seed):
    ants = [sample(n) for n in range(10)]
    bees = [sample(n, "bees") for n in range(5, 15)]
    counts = assign_splits(manifest_of(*ants, *bees), seed=seed).counts()
    assert counts["val"]["ants"] == 2
    assert counts["val"]["bees"] >= 2


@pytest.mark.parametrize("count", range(2, 12))
def test_every_class_is_in_training_and_in_validation(count):
    counts = assign_splits(manifest_of(*(sample(n) for n in range(count)))).counts()
    assert counts["train"]["ants"] >= 1
    assert counts["val"]["ants"] == max(1, round(0.2 * count))


def test_the_share_is_taken_from_every_class_not_from_the_first(shared):
    counts = assign_splits(scan(shared / "data/flowers", check=False)).counts()
    assert counts["val"].keys() == counts["train"].keys()
    for label, validated in counts["val"].items():
        assert validated / (validated + counts["train"][label]) == pytest.approx(0.2, abs=0.005)


def test_another_seed_draws_another_split_and_the_same_seed_the_same():
    manifest = manifest_of(*(sample(n) for n in range(40)))
    assert split_of(assign_splits(manifest, seed=1)) == split_of(assign_splits(manifest, seed=1))
    assert split_of(assign_splits(manifest, seed=1)) != split_of(assign_splits(manifest, seed=2))


def test_a_test_share_does_not_change_the_validation_split():
    manifest = manifest_of(*(sample(n) for n in range(40)))
    with_test = assign_splits(manifest, test_fraction=0.25)
    assert with_test.subset("val") == assign_splits(manifest).subset("val")
    assert {split: sum(c.values()) for split, c in with_test.counts().items()} == {
        "train": 22,
        "val": 8,
        "test": 10,
    }


def test_given_splits_are_kept():
    given_splits = manifest_of(*(sample(n, split=("train", "val")[n % 2]) for n in range(10)))
    assert assign_splits(given_splits) == given_splits


def test_training_is_split_where_validation_is_missing():
    samples = [sample(n, split="train") for n in range(10)]
    tests = [sample(n, split="test") for n in range(10, 14)]
    drawn = assign_splits(manifest_of(*samples, *tests), test_fraction=0.5)
    assert drawn.counts() == {"test": {"ants": 4}, "train": {"ants": 8}, "val": {"ants": 2}}


def test_an_undecided_copy_follows_the_image_that_has_a_split():
    decided = [sample(n, split=("train", "val", "test")[n % 3]) for n in range(9)]
    copies = [sample(n, name=f"copy{n}") for n in range(9)]
    drawn = split_of(assign_splits(manifest_of(*decided, *copies)))
    assert all(drawn[f"/ants/copy{n}.jpg"] == drawn[f"/ants/{n}.jpg"] for n in range(9))


def test_an_unreadable_sample_stays_as_it_is():
    broken = replace(sample(99), state="zero bytes")
    drawn = assign_splits(manifest_of(broken, *(sample(n) for n in range(5))))
    assert drawn.set_aside == (broken,)


@pytest.mark.parametrize(("val", "test"), [(-0.1, 0), (0.2, -1), (0.5, 0.5), (float("nan"), 0)])
def test_shares_that_leave_nothing_are_refused(val, test):
    with pytest.raises(RecipeError):
        assign_splits(manifest_of(sample(1)), val_fraction=val, test_fraction=test)


def tagged(*labels: str, task: str = "multilabel", first: int = 0) -> Manifest:
    rows = (sample(first + n, label, name=str(n)) for n, label in enumerate(labels))
    return Manifest(tuple(rows), root="/", task=task)


def counted(manifest: Manifest, split: str, label: str) -> int:
    return sum(label in manifest.names(s) for s in manifest.subset(split))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.sets(st.sampled_from("abcde")).map(lambda names: ";".join(sorted(names))), min_size=1
    ),
    st.integers(0, 5),
)
def test_every_label_keeps_an_image_in_training(labels, seed):
    drawn = assign_splits(tagged(*labels), test_fraction=0.2, seed=seed)
    known = {name for s in drawn.samples for name in drawn.names(s)}
    assert set(drawn.classes) == known
    assert all(s.split in ("train", "val", "test") for s in drawn.samples)


@pytest.mark.parametrize("seed", range(10))
def test_a_label_whose_images_would_all_be_drawn_keeps_one_in_training(seed):
    # Both images with "x" are split with another label's, of which one each goes to validation.
    drawn = assign_splits(tagged("a;x", "a", "b;x", "b"), val_fraction=0.4, seed=seed)
    assert all(counted(drawn, "train", label) for label in "abx")
    assert drawn.subset("val")


def test_sets_of_labels_that_many_images_have_are_split_evenly():
    labels = ["a"] * 40 + ["a;b"] * 20 + ["b"] * 20 + [""] * 20
    drawn = assign_splits(tagged(*labels), val_fraction=0.25)
    sets = {
        kind: [s for s in drawn.subset("val") if s.label == kind] for kind in ("a", "a;b", "b", "")
    }
    assert {kind: len(found) for kind, found in sets.items()} == {"a": 10, "a;b": 5, "b": 5, "": 5}


def test_a_rare_label_among_rare_sets_is_measured_too():
    # Every image with the rare label has another set of labels.
    labels = [f"rare;{name}" for name in "abcde"] + [name for name in "abcde" for _ in range(30)]
    drawn = assign_splits(tagged(*labels))
    assert counted(drawn, "train", "rare") == 4
    assert counted(drawn, "val", "rare") == 1


def test_numbers_are_split_evenly_over_their_range():
    values = [repr(float(n)) for n in range(200)]
    drawn = assign_splits(tagged(*values, task="regression"))
    for first in range(0, 200, 20):
        inside = [s for s in drawn.subset("val") if first <= float(s.label) < first + 20]
        assert len(inside) == 4


@pytest.mark.parametrize("values", [["1.0"], ["1.0"] * 40, ["1.0", "2.0", "3.0"]])
def test_few_or_equal_numbers_are_split_all_the_same(values):
    drawn = assign_splits(tagged(*values, task="regression"), val_fraction=0.3)
    assert len(drawn.subset("train")) + len(drawn.subset("val")) == len(values)
    assert drawn.subset("train")


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.floats(-9, 9)), min_size=1),
    st.integers(0, 5),
)
def test_copies_with_different_numbers_stay_together(rows, seed):
    samples = (sample(content, repr(value), name=str(n)) for n, (content, value) in enumerate(rows))
    drawn = assign_splits(Manifest(tuple(samples), root="/", task="regression"), seed=seed)
    splits = {s.sha256: set() for s in drawn.samples}
    for s in drawn.samples:
        splits[s.sha256].add(s.split)
    assert all(len(found) == 1 for found in splits.values())


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["", "p", "q", "r"])), min_size=1),
    st.integers(0, 5),
)
def test_images_of_one_group_stay_together_like_copies(rows, seed):
    samples = [
        replace(sample(content, "ab"[content % 2], name=str(n)), group=group)
        for n, (content, group) in enumerate(rows)
    ]
    drawn = assign_splits(manifest_of(*samples), test_fraction=0.2, seed=seed)
    for share in ("group", "sha256"):
        splits = {}
        for s in drawn.samples:
            splits.setdefault(getattr(s, share), set()).add(s.split)
        assert all(len(found) == 1 for name, found in splits.items() if name)
    again = assign_splits(manifest_of(*reversed(samples)), test_fraction=0.2, seed=seed)
    assert split_of(again) == split_of(drawn)


def test_an_undecided_image_follows_its_group():
    rows = [replace(sample(n, split=split), group="p") for n, split in enumerate(["test", ""])]
    others = [sample(n) for n in range(10, 20)]
    assert split_of(assign_splits(manifest_of(*rows, *others)))["/ants/1.jpg"] == "test"


kinds = {
    CLASSIFICATION: st.sampled_from(["ants", "bees", "wasps"]),
    MULTILABEL: st.sampled_from(["", "striped", "striped;winged", "large;winged", "large"]),
    REGRESSION: st.floats(-9, 9).map(repr),
}


@st.composite
def split_manifests(draw, tasks=tuple(kinds)):
    """Draw manifests with splits, copies among them, and mostly more training images than kept."""
    task = draw(st.sampled_from(tasks))
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(0, 40), kinds[task], st.sampled_from(["train", "train", "val", "test"])
            ),
            min_size=20,
            max_size=60,
        )
    )
    samples = (
        replace(sample(content, label, split, name=str(n)), state="ok" if content else "truncated")
        for n, (content, label, split) in enumerate(rows)
    )
    return Manifest(tuple(samples), root="/", task=task)


def kept(manifest: Manifest, **options: int) -> set[str]:
    return {sample.path for sample in limit_training(manifest, **options).subset("train")}


@settings(max_examples=60, deadline=None)
@given(split_manifests(tasks=(CLASSIFICATION, MULTILABEL)), st.integers(1, 9), st.integers(0, 3))
def test_a_limit_per_class_is_nested_and_keeps_so_many_of_each(manifest, count, seed):
    few, more = (kept(manifest, per_class=number, seed=seed) for number in (count, count + 1))
    assert few <= more <= {s.path for s in manifest.subset("train")}
    available = manifest.counts().get("train", {})
    found = limit_training(manifest, per_class=count, seed=seed).counts().get("train", {})
    for label, number in available.items():
        assert found[label] >= min(count, number)
        if manifest.task == CLASSIFICATION:
            assert found[label] == min(count, number)


@settings(max_examples=60, deadline=None)
@given(split_manifests(), st.integers(4, 20), st.integers(0, 3))
def test_a_limit_is_nested_exact_and_stratified(manifest, count, seed):
    training = manifest.subset("train")
    few, more = (kept(manifest, limit=number, seed=seed) for number in (count, count + 1))
    assert few <= more
    assert len(few) == min(count, len(training))
    if manifest.task == CLASSIFICATION and len(few) < len(training):
        found = limit_training(manifest, limit=count, seed=seed).counts()["train"]
        for label, number in manifest.counts()["train"].items():
            share = count * number / len(training)
            assert abs(found[label] - share) <= 1 + share / count * len(found)


@settings(max_examples=60, deadline=None)
@given(split_manifests(tasks=(CLASSIFICATION,)), st.integers(1, 9), st.integers(4, 20))
def test_both_limits_together_are_nested(manifest, per_class, limit):
    few = kept(manifest, per_class=per_class, limit=limit)
    assert few <= kept(manifest, per_class=per_class, limit=limit + 1)
    assert few <= kept(manifest, per_class=per_class)


@settings(max_examples=60, deadline=None)
@given(split_manifests(), st.integers(4, 12), st.integers(0, 3))
def test_a_limit_leaves_other_splits_and_unreadable_images_alone(manifest, count, seed):
    limited = limit_training(manifest, limit=count, seed=seed)
    assert [limited.subset(split) for split in ("val", "test")] == [
        manifest.subset(split) for split in ("val", "test")
    ]
    assert limited.set_aside == manifest.set_aside


@settings(max_examples=60, deadline=None)
@given(split_manifests(), st.integers(4, 12), st.integers(0, 3))
def test_names_and_order_do_not_matter_to_a_limit(manifest, count, seed):
    distinct = {s.sha256: s for s in manifest.samples}
    manifest = replace(manifest, samples=tuple(distinct.values()))
    renamed = tuple(replace(s, path=f"/other/{s.path}") for s in reversed(manifest.samples))
    found = (
        {s.sha256 for s in limit_training(m, limit=count, seed=seed).subset("train")}
        for m in (manifest, replace(manifest, samples=renamed))
    )
    assert next(found) == next(found)


def test_another_seed_keeps_other_images():
    manifest = manifest_of(*(sample(n, split="train") for n in range(40)))
    assert kept(manifest, per_class=10, seed=1) != kept(manifest, per_class=10, seed=2)


def test_a_limit_is_said():
    manifest = manifest_of(*(sample(n, split="train") for n in range(40)))
    assert limit_training(manifest, per_class=10, seed=7).notes == (
        "10 of 40 training images are used, drawn by --seed 7.",
    )
    assert limit_training(manifest).notes == ()


def test_a_limit_that_leaves_a_class_without_images_is_refused():
    manifest = manifest_of(*(sample(n, "abc"[n % 3], "train") for n in range(9)))
    with pytest.raises(RecipeError, match="--limit 2 leaves training images of 2 of 3 classes"):
        limit_training(manifest, limit=2)


def test_numbers_have_no_classes_to_limit():
    numbers = Manifest((sample(1, "2.5", "train"),), root="/", task=REGRESSION)
    with pytest.raises(RecipeError, match="--per-class 5 was given, and numbers have no classes"):
        limit_training(numbers, per_class=5)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("abcd"), min_size=1))
def test_every_beginning_of_a_stratified_order_has_its_share_of_each(strata):
    order = stratified_order(strata)
    assert sorted(order) == list(range(len(strata)))
    for count in range(1, len(strata) + 1):
        chosen = [strata[place] for place in order[:count]]
        if count >= len(set(strata)):
            assert set(chosen) == set(strata)
            for name in set(strata):
                share = count * strata.count(name) / len(strata)
                assert abs(chosen.count(name) - share) <= len(set(strata))
