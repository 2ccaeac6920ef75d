"""Charts are drawn offline, announce themselves once, and take their colours from the page."""

from __future__ import annotations

import pytest

from graft.report.svg import draw
from graft.report.theme import TRAINING, depth_colours

POINT = {
    "data": {"values": [{"x": 1}]},
    "mark": {"type": "point", "color": TRAINING},
    "encoding": {"x": {"field": "x", "type": "quantitative"}},
}


def test_the_colour_of_a_mark_is_left_to_the_page() -> None:
    assert 'stroke="var(--training)"' in draw(POINT)


def test_single_marks_are_not_announced_to_a_screen_reader() -> None:
    assert "aria-label" not in draw(POINT)


def test_a_chart_scales_with_its_column() -> None:
    tag = draw(POINT).split(">")[0]
    assert "viewBox" in tag
    assert "height" not in tag


def test_a_chart_cannot_fetch_its_data() -> None:
    with pytest.raises(ValueError, match=r"127\.0\.0\.1"):
        draw({**POINT, "data": {"url": "http://127.0.0.1:9/data.csv"}})


@pytest.mark.parametrize("count", [1, 2, 15])
def test_each_stage_has_a_colour_of_its_own(count: int) -> None:
    assert len(set(depth_colours(count))) == count
