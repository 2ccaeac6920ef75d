"""Promises of the device and the precision: a run has its own, whatever the process did before."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from graft.errors import RecipeError, ResourceError
from graft.training.accelerator import find_device, make_accelerator


def test_two_precisions_in_one_process_are_those_that_were_asked_for():
    matrix = torch.ones(2, 2)
    for precision, dtype in [("bf16", torch.bfloat16), ("fp32", torch.float32)]:
        with make_accelerator("cpu", precision).autocast():
            assert (matrix @ matrix).dtype == dtype


def test_a_step_is_that_of_the_optimizer_after_clipping():
    ours, theirs = (torch.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    accelerator = make_accelerator("cpu")
    optimizer = torch.optim.SGD([ours], lr=0.1)
    accelerator.backward((ours**2).sum())
    norm = accelerator.clip(optimizer, [ours], 1.0)
    accelerator.step(optimizer)
    torch.testing.assert_close(norm, torch.tensor(20.0).sqrt())
    direction = 2 * theirs / (2 * theirs).norm()
    torch.testing.assert_close(ours, theirs - 0.1 * direction)


def test_half_precision_on_the_cpu_is_refused():
    with pytest.raises(RecipeError, match="fp16 needs an accelerator"):
        find_device("cpu", "fp16")


@pytest.mark.parametrize(("name", "error"), [("gpu7", RecipeError), ("cuda:99", ResourceError)])
def test_a_device_that_is_not_there_is_named(name, error):
    with pytest.raises(error, match=name):
        find_device(name)


def test_a_host_that_uses_accelerate_keeps_its_settings():
    pytest.importorskip("accelerate")
    code = (
        "from accelerate import Accelerator\n"
        "host = Accelerator(cpu=True, mixed_precision='bf16')\n"
        "from graft.training.accelerator import make_accelerator\n"
        "make_accelerator('cpu', 'fp32')\n"
        "print(host.mixed_precision, Accelerator(cpu=True).mixed_precision)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["bf16", "bf16"], done.stderr
