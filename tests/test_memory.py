"""How much memory there is: a container's limit counts, and what is free is read, not guessed."""

from __future__ import annotations

import pytest

from graft import machine as memory


@pytest.fixture
def container(monkeypatch, tmp_path):
    """A container whose files a test writes."""
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    return tmp_path


def test_the_limit_of_a_container_counts(container):
    (container / "memory.max").write_text("1000000\n")
    assert memory.total_memory() == 1_000_000


@pytest.mark.parametrize("content", ["max\n", ""])
def test_without_a_limit_all_memory_counts(container, content):
    (container / "memory.max").write_text(content)
    assert memory.total_memory() > 100_000_000


def test_what_is_available_is_what_the_system_says(container):
    (container / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:   2048 kB\n")
    assert memory.available_memory() == 2048 * 1024


def test_a_container_leaves_what_its_limit_leaves(container):
    (container / "meminfo").write_text("MemAvailable:   8192 kB\n")
    (container / "memory.max").write_text("3000000\n")
    (container / "memory.current").write_text("1000000\n")
    assert memory.available_memory() == 2_000_000


def test_where_the_system_does_not_say_half_is_assumed(container):
    assert memory.available_memory() == memory.total_memory() // 2
