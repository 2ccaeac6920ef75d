"""The demo in the terminal: what is not shown by the images is not claimed by the table."""

from __future__ import annotations

import io

from rich.console import Console

from graft.report.charts import DAYLIGHT, strategies_chart, write_png
from graft.report.demo_table import print_demo


def document(tmp_path, *, distinguishable):
    from PIL import Image

    path = tmp_path / "[red]3.png"
    Image.new("L", (8, 8), 255).save(path)
    compared = {"difference": 0.1, "interval": [0.02, 0.18], "p_holm": 0.01}
    shared = {"val_accuracy": 0.9, "test_images": 50, "trainable_parameters": 2570}
    numbers = {"test_accuracy": 0.9, "test_interval": [0.8, 0.95], "seconds": {"total": 2.0}}
    row = {**shared, **numbers, "kept_solved_head": False}
    against = {**compared, "distinguishable": distinguishable}
    return {
        "strategies": [
            {**row, "strategy": "probe", "against_scratch": against},
            {**row, "strategy": "scratch", "val_accuracy": 0.8, "against_scratch": None},
        ],
        "best": "probe",
        "predictions": [
            {
                "path": str(path),
                "label": "[b]3",
                "prediction": "5",
                "confidence": 0.7,
                "right": False,
                "why": "most confident mistake",
            }
        ],
        "out": "graft-demo",
        "chart": "graft-demo/strategies.png",
        "seconds": 30.0,
        "next": "graft fit DIR",
    }


def printed(found, **options):
    file = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    console = Console(width=80, record=True, file=file, force_terminal=bool(options), **options)
    print_demo(found, console)
    return console.export_text()


def test_a_difference_has_points_and_an_interval(tmp_path):
    said = printed(document(tmp_path, distinguishable=True))
    assert "+10.0 (+2.0 to +18.0)" in said
    assert "10.0 points better than from scratch" in " ".join(said.split())


def test_no_difference_is_called_none(tmp_path):
    said = printed(document(tmp_path, distinguishable=False))
    assert "no difference shown" in said
    assert "no difference that these 50 test images can show" in " ".join(said.split())
    assert "+10.0" not in said


def test_names_are_never_markup_and_without_colours_images_are_named(tmp_path):
    said = printed(document(tmp_path, distinguishable=True))
    assert "wrong: [b]3" in said
    assert "[red]3.png" in said.replace("\n", "")


def test_on_a_terminal_with_colours_images_are_drawn(tmp_path):
    said = printed(document(tmp_path, distinguishable=True), color_system="truecolor")
    assert said.count("▀" * 16) == 8


def test_the_chart_as_a_image_has_colours_of_its_own(tmp_path):
    from PIL import Image

    rows = document(tmp_path, distinguishable=True)["strategies"]
    write_png(strategies_chart(rows, "digits", "scratch"), tmp_path / "chart.png")
    with Image.open(tmp_path / "chart.png") as image:
        colours = {colour for _, colour in image.convert("RGB").getcolors(1 << 16)}
    green = tuple(int(DAYLIGHT["var(--validation)"][i : i + 2], 16) for i in (1, 3, 5))
    assert {(255, 255, 255), green} <= colours
