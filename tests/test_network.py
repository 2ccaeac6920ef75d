"""When nothing may be asked of the network."""

from __future__ import annotations

import pytest

from graft.download import VARIABLES, offline, staying_offline


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what the environment of the tests says."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_the_network_may_be_asked_unless_someone_objects() -> None:
    assert not offline()


@pytest.mark.parametrize("name", ["GRAFT_OFFLINE", "HF_HUB_OFFLINE"])
@pytest.mark.parametrize("value", ["1", "true", "YES", " on "])
def test_the_environment_keeps_graft_offline(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    assert offline()


@pytest.mark.parametrize("value", ["", "0", "false", "no"])
def test_the_environment_can_say_no(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("GRAFT_OFFLINE", value)

    assert not offline()


def test_a_block_keeps_graft_offline_and_ends() -> None:
    def fail() -> None:
        with staying_offline():
            assert offline()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not offline()


def test_an_inner_block_cannot_go_online_again() -> None:
    with staying_offline(), staying_offline(False):
        assert offline()


def test_a_block_cannot_overrule_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFT_OFFLINE", "1")

    with staying_offline(False):
        assert offline()
