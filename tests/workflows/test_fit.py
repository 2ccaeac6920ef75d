"""Promises of a whole run: the folder it leaves, its honesty, its repetition."""

from __future__ import annotations

import csv
import json
import os

import pytest
import torch
from PIL import Image

import graft
from graft.config import resolve
from graft.data import loader
from graft.data.decode import decode
from graft.errors import DataError, GraftError, RecipeError, ResourceError
from graft.files import sha256
from graft.run import Run, read_lines
from graft.training import Callback
from tests.test_startup import loaded_after
from tests.workflows.conftest import SMALL, write_photos


@pytest.fixture(scope="module")
def fitted(photos, weights, tmp_path_factory):
    """One full run that the tests of this file read."""
    out = tmp_path_factory.mktemp("runs") / "r"
    return graft.fit(
        photos, out=out, weights=str(weights), strategy="gradual", epochs=2, seed=0, **SMALL
    )


def test_the_run_folder_is_that_of_the_design(fitted):
    names = {path.name for path in fitted.run.iterdir()}
    assert names == {
        "checkpoints",
        "metrics.jsonl",
        "model",
        "predictions.csv",
        "recipe.yaml",
        "report.html",
        "run.json",
        "split.csv",
        "steps.jsonl",
    }
    assert {path.name for path in (fitted.run / "model").iterdir()} == {
        "model.safetensors",
        "model.json",
    }
    assert not list(fitted.run.rglob("*.tmp")) + list(fitted.run.rglob("*.pkl"))


def test_the_document_has_the_keys_of_the_design(fitted):
    keys = (
        "run backbone strategy classes plan train_images val_accuracy val_interval test_accuracy "
        "test_interval trainable_parameters seconds diagnosis warnings"
    )
    assert set(keys.split()) <= set(fitted.result)
    assert set(fitted.result["seconds"]) == {"total", "data", "extract", "train", "evaluate"}
    assert fitted.result["classes"] == ["blue", "green", "red"]
    json.dumps(fitted.result, allow_nan=False)


def test_the_run_says_that_it_is_done_and_that_nothing_frozen_moved(fitted):
    state = Run.open(fitted.run).state()
    assert (state["state"], state["error"]) == ("done", None)
    assert len(state["audits"]) == len(fitted.result["plan"]["phases"])
    assert all(audit["unchanged"] for audit in state["audits"])


def test_the_reported_accuracy_is_that_of_the_best_epoch_over_all_phases(fitted):
    lines = list(read_lines(fitted.run / "metrics.jsonl"))
    assert fitted.result["val_accuracy"] == max(line["val_accuracy"] for line in lines)
    assert [line["best"] for line in lines if line["epoch"] == fitted.result["best_epoch"]] == [
        True
    ]


def test_the_result_says_that_validation_chose_it_only_where_it_did(
    fitted, photos, weights, tmp_path
):
    assert fitted.result["selected_on"] == "validation"
    probe = graft.fit(photos, out=tmp_path / "r", weights=str(weights), **SMALL)
    assert probe.result["selected_on"] is None


def test_the_result_says_how_its_solved_head_was_found(fitted, photos, weights, tmp_path):
    line = next(iter(read_lines(fitted.run / "metrics.jsonl")))
    assert fitted.result["probe"] == line["probe"]
    options = {"weights": str(weights), "strategy": "full", "epochs": 1, **SMALL}
    full = graft.fit(photos, out=tmp_path / "r", head_start="random", **options)
    assert full.result["probe"] is None


def test_evaluate_and_predict_agree_with_the_run_exactly(fitted, photos):
    state = Run.open(fitted.run).state()
    for split, key in (("val", "validation"), ("test", "test")):
        found = graft.evaluate(fitted.run, photos, split=split)
        assert {name: found[name] for name in state[key]} == state[key]
        folder = graft.evaluate(fitted.run, photos / split)
        assert {name: folder[name] for name in state[key]} == state[key]
    rows = {row["path"]: row for row in _rows(fitted.run / "predictions.csv")}
    assert len(rows) == 27
    for paths in ([photos / "val" / "red"], [photos / "test"], [photos / "val/blue/03.png"]):
        for found in graft.predict(fitted.run, paths):
            row = rows[found.path]
            assert (row["prediction"], float(row["confidence"])) == (found.label, found.confidence)
            assert found.top[0] == (found.label, found.confidence)


def test_evaluate_takes_the_test_split_unless_told_otherwise(fitted, photos):
    found = graft.evaluate(fitted.run, photos)
    assert (found["split"], found["images"]) == ("test", 12)


def test_the_loaded_classifier_predicts_files_bytes_and_images_alike(fitted, photos):
    from PIL import Image

    path = photos / "val/green/00.png"
    classifier = graft.load(fitted.run)
    entrances = [path, str(path), path.read_bytes(), Image.open(path)]
    found = classifier.predict(entrances)
    assert len({(one.label, one.confidence, one.top) for one in found}) == 1
    assert classifier.predict(path) == found[:1]


def test_loading_the_model_gives_identical_logits(fitted):
    images = torch.randn(8, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        assert torch.equal(graft.load(fitted.run)(images), fitted.classifier(images))


def test_the_same_seed_twice_gives_the_same_model_file(fitted, photos, weights, tmp_path):
    again = graft.fit(config=fitted.run / "recipe.yaml", out=tmp_path / "again")
    assert sha256(again.run / "model/model.safetensors") == sha256(
        fitted.run / "model/model.safetensors"
    )


def test_a_run_from_its_own_split_file_is_the_same_run(fitted, weights, tmp_path):
    again = graft.fit(
        fitted.run / "split.csv",
        out=tmp_path / "again",
        weights=str(weights),
        strategy="gradual",
        epochs=2,
        **SMALL,
    )
    assert again.result["val_accuracy"] == fitted.result["val_accuracy"]
    assert again.result["test_images"] == 12


def test_the_recipe_on_disk_is_resolved(fitted):
    recipe = resolve(config=fitted.run / "recipe.yaml")
    assert recipe.training.epochs == 2
    assert recipe.training.lr is not None
    assert recipe.out is None


def test_the_test_images_are_looked_at_once_and_at_the_end(photos, weights, tmp_path, monkeypatch):
    from graft.data.loader import Loader

    seen = []
    view = Loader._readable_view

    def watched(self, row, epoch):
        seen.append(self.samples[row].path)
        return view(self, row, epoch)

    monkeypatch.setattr(Loader, "_readable_view", watched)
    graft.fit(photos, out=tmp_path / "r", weights=str(weights), strategy="full", epochs=1, **SMALL)
    tests = [index for index, path in enumerate(seen) if "/test/" in path]
    assert len(tests) == 12
    assert len({seen[index] for index in tests}) == 12


def test_the_order_of_the_classes_comes_from_training_even_if_validation_lacks_one(
    weights, tmp_path
):
    counts = {"train/red": 4, "train/green": 4, "train/blue": 4, "val/red": 3, "val/green": 3}
    root = write_photos(tmp_path / "photos", counts)
    run = graft.fit(root, out=tmp_path / "r", weights=str(weights), **SMALL)
    assert run.classifier.classes == ("blue", "green", "red")
    assert any("blue" in warning for warning in run.result["warnings"])
    scores = graft.evaluate(run.run, root / "val")["per_class"]
    assert scores["blue"]["support"] == 0
    assert scores["blue"]["recall"] is None
    labels = {row["label"] for row in _rows(run.run / "predictions.csv")}
    assert labels == {"red", "green"}


def test_a_flat_folder_is_split_and_the_split_is_on_record(weights, tmp_path):
    root = write_photos(tmp_path / "photos", {"red": 10, "green": 10})
    run = graft.fit(root, out=tmp_path / "r", weights=str(weights), **SMALL)
    splits = [row["split"] for row in _rows(run.run / "split.csv")]
    assert sorted(splits) == ["train"] * 16 + ["val"] * 4
    assert run.result["test_accuracy"] is None


def test_unreadable_images_are_named_set_aside_and_counted(weights, tmp_path):
    root = write_photos(tmp_path / "photos", {"red": 12, "green": 12})
    (root / "red/broken.jpg").write_bytes((root / "red/00.png").read_bytes()[:200])
    (root / "green/empty.jpg").touch()
    run = graft.fit(root, out=tmp_path / "r", weights=str(weights), **SMALL)
    assert run.result["set_aside"] == 2
    assert any("broken.jpg" in w and "empty.jpg" in w for w in run.result["warnings"])
    assert run.result["train_images"] + run.result["val_images"] == 24


def test_scratch_needs_no_weights_and_repeats(photos, tmp_path):
    runs = [
        graft.fit(photos, out=tmp_path / name, strategy="scratch", epochs=1, seed=3, **SMALL)
        for name in "ab"
    ]
    hashes = {sha256(run.run / "model/model.safetensors") for run in runs}
    assert len(hashes) == 1


class CtrlC(Callback):
    """Presses Ctrl-C after so many batches of training, or during extraction."""

    def __init__(self, batches=None):
        self.left = batches

    def on_batch_end(self, trainer, line):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt

    def on_progress(self, trainer, images, total):
        if self.left is None and images:
            raise KeyboardInterrupt


def test_ctrl_c_leaves_a_usable_run_that_resumes_to_the_same_weights(photos, weights, tmp_path):
    options = {"weights": str(weights), "strategy": "full", "epochs": 3, **SMALL}
    whole = graft.fit(photos, out=tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt):
        graft.fit(photos, out=tmp_path / "r", callbacks=[CtrlC(7)], **options)
    state = Run.open(tmp_path / "r").state()
    assert state["state"] == "interrupted"
    assert state["test"] is None, "an unfinished run does not look at the test images"
    assert graft.load(tmp_path / "r").predict(photos / "val/red/00.png")
    resumed = graft.fit(out=tmp_path / "r", resume=True)
    assert Run.open(tmp_path / "r").state()["state"] == "done"
    assert resumed.result["probe"] == whole.result["probe"] is not None
    for name in ("model/model.safetensors", "predictions.csv"):
        assert sha256(resumed.run / name) == sha256(whole.run / name)
    epochs = [
        [(line["epoch"], line["val_loss"], line["lr"]) for line in read_lines(r / "metrics.jsonl")]
        for r in (resumed.run, whole.run)
    ]
    assert epochs[0] == epochs[1]


def test_a_run_interrupted_before_its_first_result_resumes_from_its_beginning(
    photos, weights, tmp_path
):
    options = {"weights": str(weights), "strategy": "probe", "cache": "off", **SMALL}
    with pytest.raises(KeyboardInterrupt):
        graft.fit(photos, out=tmp_path / "r", callbacks=[CtrlC()], **options)
    with pytest.raises(DataError, match="--resume"):
        graft.load(tmp_path / "r")
    assert graft.fit(out=tmp_path / "r", resume=True).result["val_accuracy"] > 0


def test_resuming_with_another_option_is_refused_by_its_name(fitted):
    with pytest.raises(RecipeError, match="epochs = 2, not 9"):
        graft.fit(out=fitted.run, resume=True, epochs=9)


def test_resuming_a_finished_run_returns_it(fitted):
    before = sha256(fitted.run / "run.json")
    assert graft.fit(out=fitted.run, resume=True).result == fitted.result
    assert sha256(fitted.run / "run.json") == before


def test_a_failed_run_says_why_in_its_state(photos, weights, tmp_path, monkeypatch):
    from graft.tasks import classification

    def broken(*_, **__):
        raise GraftError("The loom is broken.", "Mend it.")

    monkeypatch.setattr(classification, "solve", broken)
    with pytest.raises(GraftError, match="loom"):
        graft.fit(photos, out=tmp_path / "r", weights=str(weights), **SMALL)
    state = Run.open(tmp_path / "r").state()
    assert state["state"] == "failed"
    assert "loom" in state["error"]


def test_a_full_disk_in_the_middle_keeps_what_was_complete(photos, weights, tmp_path, monkeypatch):
    import errno

    from graft.training import checkpoints

    write, calls = checkpoints.save_file, []

    def filling(tensors, path):
        calls.append(path)
        if len(calls) > 3:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        write(tensors, path)

    monkeypatch.setattr(checkpoints, "save_file", filling)
    options = {"weights": str(weights), "strategy": "full", "epochs": 3, **SMALL}
    with pytest.raises(ResourceError, match="disk is full"):
        graft.fit(photos, out=tmp_path / "r", **options)
    monkeypatch.undo()
    assert Run.open(tmp_path / "r").state()["state"] == "failed"
    assert graft.fit(out=tmp_path / "r", resume=True).result["best_epoch"] >= 0


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({}, "holds no"),
        ({"red": 5}, "one class"),
        ({"train/red": 4, "train/green": 4, "val/red": 2, "val/mauve": 2}, "mauve"),
    ],
)
def test_images_that_cannot_be_trained_on_leave_no_run_folder(weights, tmp_path, counts, words):
    root = write_photos(tmp_path / "photos", counts)
    root.mkdir(exist_ok=True)
    with pytest.raises(DataError, match=words):
        graft.fit(root, out=tmp_path / "r", weights=str(weights), **SMALL)
    assert not (tmp_path / "r").exists()


def test_the_plan_alone_needs_no_weights_and_writes_nothing(photos, tmp_path, monkeypatch):
    from graft.workflows.fit import plan_only

    monkeypatch.chdir(tmp_path)
    document = plan_only(photos, backbone="vgg16", strategy="gradual")
    assert document["train_images"] == 24
    assert document["plan"]["phases"][0]["trainable_parameters"] == 4096 * 3 + 3
    assert not list(tmp_path.iterdir())


def _rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.skipif(os.name == "nt", reason="file names are text there")
def test_names_that_are_no_text_or_look_like_code_come_through(tmp_path):
    root = write_photos(
        tmp_path / "photos", {'a,"b': 6, "<script>": 6, "[red]": 6, "-x": 6, "日本": 6}
    )
    for number in range(8):
        odd = os.fsencode(root / "[red]") + b"/caf\xe9%d,'.png" % number
        with open(odd, "wb") as file:  # noqa: PTH123 the name is bytes on purpose
            Image.new("RGB", (32, 32), (200 + number, 0, 0)).save(file, "png")
    run = graft.fit(root, out=tmp_path / "r", strategy="scratch", epochs=1, **SMALL)
    assert run.result["classes"] == sorted(['a,"b', "<script>", "[red]", "-x", "日本"])
    assert b"caf\xe9" in (run.run / "predictions.csv").read_bytes()
    again = graft.fit(run.run / "split.csv", out=tmp_path / "a", strategy="scratch", **SMALL)
    assert again.result["train_images"] == run.result["train_images"]
    assert "<script>" not in (run.run / "report.html").read_text(errors="surrogateescape")


def shas(run):
    return [sha256(run / name) for name in ("model/model.safetensors", "predictions.csv")]


@pytest.mark.parametrize(
    "options",
    [
        {"strategy": "probe"},
        {"strategy": "partial", "epochs": 2, "augment": "basic"},
        {"strategy": "gradual", "epochs": 3, "augment": "basic", "mixup": 0.2},
        {"strategy": "probe", "views": 2, "augment": "basic"},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_with_and_without_the_cache_the_same_run_gives_the_same_files(
    photos, weights, tmp_path, options
):
    options = {**SMALL, "weights": str(weights), **options}
    runs = [
        graft.fit(photos, out=tmp_path / name, cache=cache, **options).run
        for name, cache in (
            ("off", "off"),
            ("cold", str(tmp_path / "cache")),
            ("hit", str(tmp_path / "cache")),
        )
    ]
    assert len({tuple(shas(run)) for run in runs}) == 1
    kept = [{each["where"] for each in Run.open(run).state()["cache"]} for run in runs]
    assert kept[0] == {"nowhere"}
    assert "disk" in kept[1]
    rows = [each for each in Run.open(runs[2]).state()["cache"] if each["cut"] != "pixels"]
    assert rows
    assert all(each["found"] == 1 for each in rows)


def test_explaining_says_for_every_phase_what_is_kept_where_and_why(photos, weights, tmp_path):
    class Hears(Callback):
        def __init__(self):
            self.said = []

        def on_message(self, words):
            self.said.append(words)

    listener = Hears()
    options = {**SMALL, "weights": str(weights), "strategy": "partial", "epochs": 1}
    cache = str(tmp_path / "cache")
    options |= {"cache": cache, "callbacks": [listener]}
    graft.fit(photos, out=tmp_path / "r", explain=True, **options)
    told = [words for words in listener.said if words.startswith("Activations at")]
    assert len(told) == 5, "of the epoch a sample of the training images as well"
    assert all("activations of" in words for words in told)


@pytest.mark.parametrize("head_start", ["solve", "random"])
def test_a_run_of_many_epochs_decodes_each_image_once(
    photos, weights, tmp_path, monkeypatch, head_start
):
    decoded = []

    def counted(source, shorter, sha256):
        decoded.append(source)
        return decode(source, shorter, sha256)

    monkeypatch.setattr(loader, "decode", counted)
    options = {**SMALL, "weights": str(weights), "strategy": "full", "epochs": 3}
    options |= {"head_start": head_start, "cache": str(tmp_path / "cache")}
    fitted = graft.fit(photos, out=tmp_path / "r", **options)
    assert sorted(decoded) == sorted(set(decoded))
    splits = ("train_images", "val_images", "test_images")
    assert len(decoded) == sum(fitted.result[split] for split in splits)


def test_a_cache_that_cannot_be_written_costs_no_run(photos, weights, tmp_path):
    (tmp_path / "cache").write_text("a file in the way")
    options = {**SMALL, "weights": str(weights), "strategy": "probe"}
    fitted = graft.fit(photos, out=tmp_path / "r", cache=str(tmp_path / "cache"), **options)
    assert fitted.result["val_accuracy"] > 0


def test_a_resumed_run_may_use_another_cache(photos, weights, tmp_path):
    options = {"weights": str(weights), "strategy": "partial", "epochs": 3, **SMALL}
    whole = graft.fit(photos, out=tmp_path / "whole", cache="off", **options)
    with pytest.raises(KeyboardInterrupt):
        graft.fit(photos, out=tmp_path / "r", callbacks=[CtrlC(4)], **options)
    resumed = graft.fit(out=tmp_path / "r", resume=True, cache=str(tmp_path / "cache"))
    assert shas(resumed.run) == shas(whole.run)


def test_the_same_command_again_loads_only_what_it_needs(photos, weights, tmp_path):
    graft.fit(photos, out=tmp_path / "a", weights=str(weights), **SMALL)
    again = {"data": str(photos), "out": str(tmp_path / "b"), "weights": str(weights), **SMALL}
    loaded = loaded_after(f"import graft; graft.fit(**{again!r})")
    # torchvision itself loads PyTorch's compiler, and SymPy with it.
    unwanted = {"scipy", "sklearn", "timm", "transformers", "onnx"}
    assert not unwanted & loaded
