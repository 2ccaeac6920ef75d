"""What a machine can do is measured, and a container's limit counts."""

from __future__ import annotations

import pytest
import torch

from graft.workflows import machine


def test_the_limit_of_a_container_counts(monkeypatch, tmp_path):
    limit = tmp_path / "memory.max"
    limit.write_text("1000000\n")
    monkeypatch.setattr(machine, "CGROUP", limit)
    assert machine._memory() == 1_000_000


@pytest.mark.parametrize("content", ["max\n", ""])
def test_without_a_limit_all_memory_counts(monkeypatch, tmp_path, content):
    limit = tmp_path / "memory.max"
    limit.write_text(content)
    monkeypatch.setattr(machine, "CGROUP", limit)
    assert machine._memory() > 100_000_000


def test_the_speed_is_one_that_a_machine_can_have():
    assert 1e8 < machine.measure_speed(torch.device("cpu")) < 1e14
