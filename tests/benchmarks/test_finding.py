import pytest
from benchmarks.finding import Finding, Target


@pytest.mark.parametrize(
    ("sense", "value", "verdict"),
    [
        ("at least", 25.0, "met"),
        ("at least", 24.9, "not met"),
        ("at most", 1.2, "met"),
        ("at most", 1.21, "not met"),
    ],
)
def test_the_bound_itself_is_met(sense, value, verdict):
    bound = 25.0 if sense == "at least" else 1.2
    assert Finding("row", "1", "this / that", value, target=Target(sense, bound)).verdict == verdict


def test_what_could_not_be_measured_is_never_met():
    finding = Finding("row", "1", "this / that", None, target=Target("at most", 1.0))
    assert finding.verdict == "not measured"


def test_a_number_without_a_target_has_no_verdict():
    assert Finding("row", "", "this / that", 3.0).verdict == "–"


def test_a_finding_survives_json():
    finding = Finding("row", "2", "a / b", 1.5, "s", Target("at most", 2.0), {"a": "1 s"}, "note")
    assert Finding.from_dict(finding.to_dict()) == finding
    bare = Finding("row", "", "a / b", None)
    assert Finding.from_dict(bare.to_dict()) == bare
