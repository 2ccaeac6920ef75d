"""Charts are drawn offline, announce themselves once, and take their colours from the page."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from graft.report import charts
from graft.report.charts import TRAINING, ChartError, depth_colours, draw_svg


def draw(spec: dict[str, Any]) -> str:
    return draw_svg([spec])[0]


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
    with pytest.raises(ChartError, match=r"127\.0\.0\.1"):
        draw({**POINT, "data": {"url": "http://127.0.0.1:9/data.csv"}})


@pytest.mark.parametrize("count", [1, 2, 15])
def test_each_stage_has_a_colour_of_its_own(count: int) -> None:
    assert len(set(depth_colours(count))) == count


def as_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Put a script of its own in the place of the chart engine."""
    script = tmp_path / "engine.py"
    script.write_text(code)
    monkeypatch.setattr(charts, "_SCRIPT", script)


def test_an_engine_that_never_answers_is_an_error(tmp_path, monkeypatch) -> None:
    as_engine(tmp_path, monkeypatch, "import time; time.sleep(60)")
    monkeypatch.setattr(charts, "SECONDS", 0.2)
    with pytest.raises(ChartError, match="did not answer within"):
        draw(POINT)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of Unix")
def test_an_engine_that_is_killed_is_an_error(tmp_path, monkeypatch) -> None:
    as_engine(tmp_path, monkeypatch, "import os, signal; os.kill(os.getpid(), signal.SIGTERM)")
    with pytest.raises(ChartError, match="ended by signal 15"):
        draw(POINT)


def test_modules_of_the_current_folder_do_not_run_in_the_engine(tmp_path, monkeypatch) -> None:
    (tmp_path / "base64.py").write_text("raise SystemExit('a file of the current folder ran')")
    monkeypatch.chdir(tmp_path)
    assert draw(POINT).startswith("<svg")


LIMITED = """
import resource
from graft.report.charts import ChartError, draw_svg
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
try: print(draw_svg([{"data": {"values": []}, "mark": "point"}])[0][:4])
except ChartError as error: print(error.problem)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited on Linux alone")
def test_a_limit_of_the_address_space_does_not_kill_who_wants_a_chart() -> None:
    said = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert "The charts could not be drawn: the chart engine ended" in said.stdout


FORKED = """
import os
from graft.report.charts import draw_svg
spec = {"data": {"values": []}, "mark": "point"}
draw_svg([spec])
child = os.fork()
if child == 0:
    draw_svg([spec])
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_draws_after_its_parent_did() -> None:
    said = subprocess.run(
        [sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=60, check=True
    )
    assert said.stdout.strip() == "0"
