"""Every network of a broad list keeps the promises or is refused in words."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.backbones import coverage


@pytest.mark.slow
@pytest.mark.parametrize(
    "names", [coverage.torchvision_names, coverage.timm_names, coverage.hf_names]
)
def test_no_network_fails(names: Callable[[], list[str]]) -> None:
    verdicts = list(coverage.judge_all(names()))

    assert not [verdict for verdict in verdicts if verdict.state == "fails"]
    assert sum(verdict.state == "passes" for verdict in verdicts) > 0.7 * len(verdicts)
