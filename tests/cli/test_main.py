"""Promises of the command line: quick help, clean outputs, the same thing as the Python API."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

import graft
from graft.cli.main import VERBS
from graft.config import paths
from tests.workflows.conftest import SMALL

FLAGS = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
GRAFT = [sys.executable, "-m", "graft"]


@pytest.fixture(scope="module")
def run(photos, weights, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "r"
    return graft.fit(photos, out=out, weights=str(weights), **SMALL)


def test_help_lists_every_verb_and_loads_neither_torch_nor_anything_slow():
    code = (
        "import sys\nfrom graft.cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "slow = {'torch', 'pydantic', 'sklearn', 'scipy', 'PIL', 'numpy', 'accelerate'}\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(verb in done.stdout for verb in VERBS)


def test_every_option_of_the_recipe_is_a_flag_with_help(graft_cli):
    help_text = graft_cli("fit", "--help").out
    for name in set(paths()) - {"path", "objects"}:
        assert f"--{name.replace('_', '-')}" in help_text


def test_the_version_is_printed(graft_cli):
    assert graft_cli("--version").out.strip() == f"graft {graft.__version__}"


def test_json_is_alone_on_standard_output(graft_cli, photos, weights, tmp_path):
    outcome = graft_cli(
        "fit", photos, *FLAGS, "--weights", weights, "--out", tmp_path / "r", "--json"
    )
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["run"] == str(tmp_path / "r")
    assert "validation" in outcome.err


def test_the_command_and_the_function_give_the_same_numbers(
    graft_cli, photos, weights, tmp_path, run
):
    outcome = graft_cli(
        "fit", photos, *FLAGS, "--weights", weights, "--out", tmp_path / "r", "--json"
    )
    document = json.loads(outcome.out)
    for key in ("val_accuracy", "val_interval", "test_accuracy", "plan", "diagnosis"):
        assert document[key] == run.result[key]


def test_predict_prints_a_json_line_per_image(graft_cli, run, photos):
    outcome = graft_cli("predict", run.run, photos / "val", "--json", "--top", 2)
    lines = [json.loads(line) for line in outcome.out.splitlines()]
    assert len(lines) == 15
    assert all(set(line) == {"path", "label", "confidence", "top"} for line in lines)
    assert all(len(line["top"]) == 2 for line in lines)


def test_predict_reads_a_list_from_standard_input(run, photos):
    images = sorted((photos / "val/red").iterdir())
    done = subprocess.run(
        [*GRAFT, "predict", str(run.run), "-", "--json"],
        input="\n".join(map(str, images)) + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert [json.loads(line)["path"] for line in done.stdout.splitlines()] == list(map(str, images))


def test_predict_goes_on_after_an_unreadable_image(graft_cli, run, photos, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    good = photos / "val/red/00.png"
    outcome = graft_cli("predict", run.run, tmp_path / "broken.png", good, "--json")
    assert outcome.code == 0
    assert [json.loads(line)["path"] for line in outcome.out.splitlines()] == [str(good)]
    assert "broken.png" in outcome.err
    assert graft_cli("predict", run.run, tmp_path / "broken.png").code == 3


def test_predict_takes_names_that_are_no_text(run, photos, tmp_path):
    odd = os.fsencode(tmp_path) + b"/caf\xe9 [red].png"
    with open(odd, "wb") as file:  # noqa: PTH123 the name is bytes on purpose
        file.write((photos / "val/red/00.png").read_bytes())
    command = [*GRAFT, "predict", str(run.run), str(tmp_path), "--json"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert os.fsencode(json.loads(done.stdout)["path"]) == odd


def test_evaluate_prints_the_metrics(graft_cli, run, photos):
    document = json.loads(graft_cli("evaluate", run.run, photos, "--split", "val", "--json").out)
    assert document["accuracy"] == run.result["val_accuracy"]
    keys = {"accuracy", "interval", "images", "loss", "macro_f1", "per_class", "confusion"}
    assert keys <= set(document)
    shown = graft_cli("evaluate", run.run, photos)
    assert shown.out == ""
    assert "95%" in shown.err


def test_the_dry_run_prints_the_plan_as_a_table(graft_cli, photos):
    outcome = graft_cli("fit", photos, "--backbone", "resnet18", "--strategy=gradual", "--dry-run")
    assert outcome.code == 0
    for word in ("stem", "stage4", "frozen", "1,539", "solved"):
        assert word in outcome.err


def test_without_a_terminal_there_are_no_escapes(graft_cli, photos):
    assert "\x1b" not in graft_cli("fit", photos, "--dry-run", "--strategy", "full").err


def test_the_environment_and_set_reach_the_recipe(graft_cli, photos, monkeypatch):
    monkeypatch.setenv("GRAFT_STRATEGY", "full")
    document = json.loads(
        graft_cli("fit", photos, "--dry-run", "--json", "--set", "training.epochs=3").out
    )
    assert (document["strategy"], document["plan"]["epochs"]) == ("full", 3)


@pytest.mark.skipif(os.name == "nt", reason="signals are those of Unix")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_exits_130_and_the_run_can_be_resumed(photos, weights, tmp_path, number):
    out = tmp_path / "r"
    flags = [*FLAGS, "--weights", str(weights), "--strategy=full", "--epochs=2000"]
    process = subprocess.Popen(
        [*GRAFT, "fit", str(photos), *flags, "--out", str(out)],
        stderr=subprocess.PIPE,
        text=True,
        # It hears the signal, although these tests may run in the background, where nobody does.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    limit = time.monotonic() + 240
    while not (out / "steps.jsonl").exists() and time.monotonic() < limit:
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 130, err
    assert "--resume" in err
    assert json.loads((out / "run.json").read_text())["state"] == "interrupted"
    assert graft.load(out).predict(photos / "val/red/00.png")
