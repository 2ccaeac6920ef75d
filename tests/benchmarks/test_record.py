import pytest
from benchmarks.finding import Finding
from benchmarks.record import MixedError, others, read, write

MACHINE = {"torch": "2.15"}
OLD = [Finding("tutorial", "1", "a", 1.0), Finding("full", "4", "b", 2.0)]


def test_a_record_is_read_as_it_was_written(tmp_path):
    write(tmp_path / "r.json", OLD, MACHINE, 3)
    assert read(tmp_path / "r.json") == {"machine": MACHINE, "rounds": 3, "findings": OLD}


def test_rows_measured_before_stay_beside_new_ones(tmp_path):
    write(tmp_path / "r.json", OLD, MACHINE, 3)
    assert others(tmp_path / "r.json", ["full"], MACHINE, 3) == OLD[:1]


def test_there_may_be_nothing_yet(tmp_path):
    assert others(tmp_path / "r.json", ["full"], MACHINE, 3) == []


@pytest.mark.parametrize(("machine", "rounds"), [({"torch": "2.16"}, 3), (MACHINE, 1)])
def test_what_was_not_measured_alike_does_not_mix(tmp_path, machine, rounds):
    write(tmp_path / "r.json", OLD, MACHINE, 3)
    with pytest.raises(MixedError, match="do not mix"):
        others(tmp_path / "r.json", ["full"], machine, rounds)
