"""`graft pretrain` as a process: what a terminal or a service manager sends goes to the group."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

SMALL = {
    "waves": 2,
    "superformulas": 1,
    "rosettes": 2,
    "fractals": 1,
    "strokes": 1,
    "textures": 3,
    "image-size": 16,
    "images": 64,
    "batch-size": 16,
    "epochs": 1000,
    "workers": 2,
}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no process groups like these")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_group_leaves_a_backbone_and_a_run_to_resume(sent, tmp_path):
    flags = [word for name, value in SMALL.items() for word in (f"--{name}", str(value))]
    process = subprocess.Popen(
        [sys.executable, "-m", "graft", "pretrain", "--out", str(tmp_path / "run"), *flags],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    metrics = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and metrics.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, sent)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Continue with: graft pretrain --resume" in said
    assert "Traceback" not in said
    assert json.loads((tmp_path / "run/run.json").read_text())["state"] == "interrupted"
    assert (tmp_path / "run/model/model.safetensors").exists()
