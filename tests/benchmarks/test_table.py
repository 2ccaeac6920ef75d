import pytest
from benchmarks.finding import Finding, Target
from benchmarks.place import HERE
from benchmarks.table import BEGIN, END, render, write_into

MACHINE = {"python": "3.11", "torch": "2.15", "machine": "2 cores"}


def test_the_table_shows_target_measurement_and_verdict():
    finding = Finding("tutorial", "1", "a / b", 30.04, target=Target("at least", 25.0))
    table = render([finding], MACHINE, 3)
    assert "| 1 | tutorial | a / b | at least 25.0x | 30.0x | met |" in table
    assert "2 cores; python 3.11, torch 2.15. Medians of 3 rounds" in table


def test_what_stands_behind_a_number_is_told():
    told = Finding("full", "4", "a / b", 1.0, medians={"a": "2 s", "b": "2 s"}, note="as measured")
    bare = Finding("full", "4", "c / d", 1.0)
    table = render([told, bare], MACHINE, 3)
    assert "- **full**, a / b: a 2 s, b 2 s; as measured." in table
    assert "c / d:" not in table


def test_what_was_not_measured_has_no_number():
    finding = Finding("peers", "", "a / b", None, note="fastai is not installed")
    table = render([finding], MACHINE, 3)
    assert "|  | peers | a / b | – | – | not measured |" in table
    assert "fastai is not installed" in table


def test_a_bar_in_a_name_does_not_break_the_table():
    assert r"a \| b" in render([Finding("full", "", "a | b", 1.0)], MACHINE, 3)


def test_only_what_is_between_the_markers_is_replaced(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    for table in ("first", "second"):
        write_into(readme, table)
        assert readme.read_text() == f"before\n{BEGIN}\n\n{table}\n\n{END}\nafter\n"


def test_a_readme_without_markers_is_left_alone(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("no place here", encoding="utf-8")
    with pytest.raises(ValueError, match=r"README\.md has no"):
        write_into(readme, "table")
    assert readme.read_text() == "no place here"


def test_the_projects_readme_has_a_place_for_the_table():
    text = (HERE / "README.md").read_text()
    assert text.count(BEGIN) == text.count(END) == 1
    assert text.index(BEGIN) < text.index(END)
