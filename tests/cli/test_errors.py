"""Bad input: each mistake has its exit code and words that name the value and the way out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import graft
from graft.files import sha256
from tests.hostile import write
from tests.workflows.conftest import SMALL, write_photos

FLAGS = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]


@pytest.fixture(scope="module")
def model(photos, weights, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "r"
    return graft.fit(photos, out=out, weights=str(weights), **SMALL).run


def check(outcome, code, *words):
    assert outcome.code == code, outcome.err
    for word in words:
        assert word in outcome.err
    assert "Traceback" not in outcome.err
    assert outcome.out == ""
    assert len(outcome.err.strip().splitlines()) <= 6


def test_a_missing_folder(graft_cli, tmp_path):
    check(graft_cli("fit", tmp_path / "nowhere", *FLAGS), 3, "nowhere")


def test_an_empty_folder(graft_cli, tmp_path, weights):
    check(graft_cli("fit", tmp_path, *FLAGS, "--weights", weights), 3, str(tmp_path))


def test_no_folder_at_all(graft_cli):
    check(graft_cli("fit", *FLAGS), 2, "No images were given", "graft fit DIR")


def test_one_class_only(graft_cli, tmp_path, weights):
    root = write_photos(tmp_path / "photos", {"red": 6})
    check(graft_cli("fit", root, *FLAGS, "--weights", weights), 3, "red")


def test_a_class_in_validation_that_training_lacks(graft_cli, tmp_path, weights):
    counts = {"train/red": 4, "train/blue": 4, "val/red": 2, "val/mauve": 2}
    root = write_photos(tmp_path / "photos", counts)
    check(graft_cli("fit", root, *FLAGS, "--weights", weights), 3, "mauve")


def test_more_than_a_fifth_unreadable(graft_cli, tmp_path, weights):
    root = write_photos(tmp_path / "photos", {"red": 7, "blue": 7})
    for number in range(4):
        (root / "red" / f"bad{number}.jpg").write_bytes(b"\xff\xd8 no more")
    outcome = graft_cli("fit", root, *FLAGS, "--weights", weights)
    check(outcome, 3, "4 of 18", "bad0.jpg")


def test_a_class_emptied_by_unreadable_images(graft_cli, tmp_path, weights):
    root = write_photos(tmp_path / "photos", {"red": 20, "blue": 20})
    (root / "green").mkdir()
    (root / "green/only.jpg").touch()
    check(graft_cli("fit", root, *FLAGS, "--weights", weights), 3, "green", "zero bytes")


def test_an_unknown_backbone(graft_cli, photos):
    check(graft_cli("fit", photos, "--backbone", "resnet81"), 2, "resnet81", "resnet18")


def test_weights_of_another_architecture(graft_cli, photos, weights):
    outcome = graft_cli("fit", photos, "--backbone", "mobilenet_v2", "--weights", weights)
    check(outcome, 2, "squeezenet1_1", "features.")


def test_weights_that_are_no_weights(graft_cli, photos, tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"hello")
    outcome = graft_cli("fit", photos, *FLAGS, "--weights", tmp_path / "w.safetensors")
    check(outcome, 2, "w.safetensors")


def test_weights_that_would_run_code_are_not_loaded(graft_cli, photos, tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    (tmp_path / "w.pth").write_bytes(pickle.dumps({"weight": Evil()}))
    outcome = graft_cli("fit", photos, *FLAGS, "--weights", tmp_path / "w.pth")
    check(outcome, 2, "w.pth")
    assert not (tmp_path / "owned").exists()


def test_an_unknown_stage(graft_cli, photos, weights):
    outcome = graft_cli(
        "fit", photos, *FLAGS, "--weights", weights, "--strategy", "partial",
        "--unfreeze-from", "layer9",
    )  # fmt: skip
    check(outcome, 2, "layer9", "stem", "stage3")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--strategy", "scratch", "--weights", "w.safetensors"], "scratch"),
        (["--strategy", "full", "--unfreeze-from", "stem"], "partial"),
        (["--strategy", "gradual", "--unfreeze-every=2", "--unfreeze-at=1,2"], "two ways"),
        (["--nesterov"], "--optimizer sgd"),
        (["--lr", "fast"], "training.lr"),
        (["--epochs", "-3"], "training.epochs"),
        (["--set", "training.lrr=1"], "training.lr"),
        (["--strategy", "fulll"], "full"),
        (["--augment", "basik"], "basic"),
        (["--device", "gpu"], "gpu"),
        (["--dry-run", "--resume"], "exclude"),
    ],
)
def test_options_that_cannot_be_meant(graft_cli, photos, tmp_path, flags, words):
    outcome = graft_cli("fit", photos, *FLAGS, "--out", tmp_path / "r", *flags)
    check(outcome, 2, words)
    assert not (tmp_path / "r").exists()


def test_resuming_without_saying_what(graft_cli, tmp_path):
    check(graft_cli("fit", "--resume"), 2, "--out")
    check(graft_cli("fit", "--resume", "--out", tmp_path), 3, "holds no run")


def test_an_unknown_flag(graft_cli, photos):
    outcome = graft_cli("fit", photos, "--learning-rat", "1")
    assert outcome.code == 2
    assert "--learning-rat" in outcome.err


def test_a_device_that_is_not_there(graft_cli, photos, weights, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this machine has the device that the test wants absent")
    outcome = graft_cli(
        "fit", photos, *FLAGS, "--weights", weights, "--device", "cuda", "--out", tmp_path / "r"
    )
    check(outcome, 4, "cuda")


def test_an_output_folder_that_already_holds_a_run(graft_cli, photos, weights, model):
    before = (model / "run.json").read_bytes()
    outcome = graft_cli("fit", photos, *FLAGS, "--weights", weights, "--out", model)
    check(outcome, 2, "already holds a run", "--resume")
    assert (model / "run.json").read_bytes() == before


def test_an_output_folder_that_cannot_be_made(graft_cli, photos, weights):
    outcome = graft_cli("fit", photos, *FLAGS, "--weights", weights, "--out", "/dev/full/r")
    assert outcome.code in (2, 4)
    assert "Traceback" not in outcome.err
    assert "/dev/full" in outcome.err


@pytest.mark.parametrize("damage", ["cut", "swapped", "json", "missing", "head"])
def test_a_damaged_model_folder(graft_cli, photos, model, tmp_path, damage):
    folder = tmp_path / "model"
    shutil.copytree(model / "model", folder)
    file = folder / "model.safetensors"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    elif damage == "swapped":
        save_file({name: tensor + 1 for name, tensor in load_file(file).items()}, file)
    elif damage == "json":
        (folder / "model.json").write_text('{"format": 1')
    elif damage == "missing":
        file.unlink()
    else:
        facts = json.loads((folder / "model.json").read_text())
        facts["head"] = {"kind": "linear", "width": 3, "classes": 2, "dropout": 0}
        (folder / "model.json").write_text(json.dumps(facts))
    check(graft_cli("predict", folder, photos / "val"), 3, "damaged")


def test_a_model_of_a_newer_version(graft_cli, photos, model, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(model / "model", folder)
    facts = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**facts, "format": 99, "graft": "9.0"}))
    check(graft_cli("evaluate", folder, photos), 3, "9.0", "Update Graft")


def test_a_model_that_is_none(graft_cli, photos, tmp_path):
    check(graft_cli("predict", tmp_path, photos / "val"), 3, "neither a model folder nor a run")


def test_no_image_to_predict(graft_cli, model, tmp_path):
    check(graft_cli("predict", model, tmp_path / "nothing.jpg"), 3, "nothing.jpg")
    check(graft_cli("predict", model), 2, "No images were named")


def test_labels_the_model_does_not_know(graft_cli, model, tmp_path):
    root = write_photos(tmp_path / "photos", {"red": 2, "mauve": 2})
    check(graft_cli("evaluate", model, root), 3, "mauve")


def test_a_split_that_is_not_there(graft_cli, model, photos):
    check(graft_cli("evaluate", model, photos / "val", "--split", "test"), 3, "test")


def test_a_defect_shows_its_traceback_with_debug_alone(graft_cli, model, photos, monkeypatch):
    import graft.workflows.evaluate as module

    def broken(*_, **__):
        raise ValueError("a defect")

    monkeypatch.setattr(module, "scan", broken)
    outcome = graft_cli("evaluate", model, photos)
    check(outcome, 1, "ValueError: a defect", "--debug")
    assert "Traceback" in graft_cli("evaluate", model, photos, "--debug").err


def test_what_pillow_warns_of_does_not_reach_the_terminal(tmp_path):
    root = write_photos(tmp_path / "photos", {"red": 6, "blue": 6})
    for photo in root.rglob("0[0-2].png"):
        exif = b"Exif\x00\x00II*\x00\xff\xff\xff\xff"  # damaged, beside sound pixels
        Image.open(photo).save(photo.with_suffix(".jpg"), exif=exif)
    arguments = ["fit", str(root), "--backbone", "graft-small", "--dry-run"]
    done = subprocess.run(
        [sys.executable, "-W", "always", "-m", "graft", *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr


def hostile_copy(model, folder):
    """Copy a model folder whose architecture asks for code, with a checksum that is right."""
    shutil.copytree(model / "model", folder)
    facts = json.loads((folder / "model.json").read_text())
    facts["backbone"]["architecture"]["options"] = {"checkpoint_path": str(folder / "trap.pth")}
    write(folder, facts)
    return folder


@pytest.mark.parametrize("verb", ["predict", "evaluate", "fit"])
def test_a_hostile_model_folder_is_refused_in_two_lines(graft_cli, photos, model, tmp_path, verb):
    folder = hostile_copy(model, tmp_path / "model")
    flags = {
        "predict": ("predict", folder, photos / "val", "--json"),
        "evaluate": ("evaluate", folder, photos, "--json"),
        "fit": ("fit", photos, "--backbone", folder, "--out", tmp_path / "r", "--cache=off"),
    }
    outcome = graft_cli(*flags[verb])
    check(outcome, 3, "architecture", "Copy the whole folder again")
    assert len(outcome.err.strip().splitlines()) == 2
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("verb", ["predict", "evaluate"])
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_weights_that_are_no_numbers_end_json_with_code_3(
    graft_cli, photos, model, tmp_path, verb, share
):
    folder = tmp_path / "model"
    shutil.copytree(model / "model", folder)
    tensors = load_file(folder / "model.safetensors")
    classes = len(graft.load(folder).classes)
    bias = next(tensor for tensor in tensors.values() if tensor.shape == (classes,))
    bias[: max(1, round(len(bias) * share))] = float("nan")
    save_file(tensors, folder / "model.safetensors")
    facts = json.loads((folder / "model.json").read_text())
    write(folder, {**facts, "sha256": sha256(folder / "model.safetensors")})

    outcome = graft_cli(verb, folder, photos / "val" if verb == "predict" else photos, "--json")
    assert outcome.code == 3, outcome.err
    assert "Traceback" not in outcome.err
    assert len(outcome.err.strip().splitlines()) == 2
    for line in outcome.out.splitlines():
        json.loads(line, parse_constant=pytest.fail)


def test_a_recipe_that_is_a_pipe_is_refused_and_not_waited_for(graft_cli, photos, tmp_path):
    os.mkfifo(tmp_path / "recipe.yaml")
    outcome = graft_cli("fit", photos, "--config", tmp_path / "recipe.yaml")
    check(outcome, 3, "recipe.yaml", "pipe")


BAD_PATHS = {"nul": "a\0b", "empty": "", "long": "x" * 300}
FLAGGED = {
    "fit": ("--config", "--weights", "--backbone", "--out", "--cache"),
    "pretrain": ("--config", "--weights", "--backbone", "--out"),
    "demo": ("--out", "--cache"),
    "cache ls": ("--cache",),
    "cache clear": ("--cache",),
    "zoo ls": ("--for",),
}
PLACED = ("fit", "pretrain", "samples digits", "evaluate MODEL", "evaluate", "predict MODEL")


def at(verb, flag, bad, photos, model):
    """Return the arguments that give a path at a flag, or where the verb takes one."""
    words = [str(model) if word == "MODEL" else word for word in verb.split()]
    if flag:
        return [*words, *([str(photos)] if verb == "fit" else []), f"{flag}={bad}"]
    return [*words, bad, *([str(photos)] if verb == "evaluate" else [])]


@pytest.mark.parametrize(
    ("verb", "flag", "bad"),
    [
        (verb, flag, bad)
        for bad in BAD_PATHS
        for verb, flag in [
            *((verb, flag) for verb, flags in FLAGGED.items() for flag in flags),
            *((verb, "") for verb in PLACED),
        ]
        if not (bad == "empty" and flag in ("--cache", "--out"))  # as if it were not given
    ],
)
def test_a_path_that_cannot_be_is_refused_kindly_wherever_it_is_given(
    graft_cli, photos, model, tmp_path, monkeypatch, verb, flag, bad
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRAFT_CACHE", str(tmp_path / "cache"))
    outcome = graft_cli(*at(verb, flag, BAD_PATHS[bad], photos, model))
    assert outcome.code in (2, 3, 4), (outcome.code, outcome.err)
    assert "Traceback" not in outcome.err
    assert len(outcome.err.strip().splitlines()) <= 10


LIKE_A_USER = """
import contextlib, ctypes, io, json, os, sys
if os.geteuid() == 0:  # root may search every folder: give up CAP_DAC_OVERRIDE and _READ_SEARCH
    libc, sets = ctypes.CDLL(None), (ctypes.c_uint32 * 6)()
    header = (ctypes.c_uint32 * 2)(0x20080522)  # version 3 of the interface
    assert libc.capget(header, sets) == 0
    sets[0] &= ~0b110
    assert libc.capset(header, sets) == 0
from graft.cli.main import main
ended = []
for arguments in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(arguments)
        except SystemExit as exit:
            code = exit.code
    ended.append([code, err.getvalue()])
print(json.dumps(ended))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="as root it needs Linux's capabilities")
def test_a_path_below_a_folder_that_may_not_be_searched_is_refused_wherever_it_is_given(
    photos, model, tmp_path
):
    shut = tmp_path / "shut"
    shut.mkdir(mode=0)
    flagged = [(verb, flag) for verb, flags in FLAGGED.items() for flag in flags]
    places = [*flagged, *((verb, "") for verb in PLACED)]
    for verb in ("fit", "demo"):
        places.remove((verb, "--cache"))  # that costs the caching and not the run
    asked = [at(*place, str(shut / "inside"), photos, model) for place in places]
    done = subprocess.run(
        [sys.executable, "-c", LIKE_A_USER, json.dumps(asked)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "GRAFT_CACHE": str(tmp_path / "cache")},
    )
    assert done.returncode == 0, done.stderr
    for arguments, (code, err) in zip(asked, json.loads(done.stdout), strict=True):
        assert code in (2, 3, 4), (arguments, code, err)
        assert "Traceback" not in err
        assert len(err.strip().splitlines()) <= 10, (arguments, err)
        if code != 2:
            assert "Permission denied" in err, (arguments, err)
