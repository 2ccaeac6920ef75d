"""Promises of the planner: what is kept where follows from costs and space."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from graft.cache.planner import WORTH_WRITING, Costs, Demand, Space, decide, decide_images

counts = st.integers(1, 10**6)
demands = st.builds(
    Demand,
    images=counts,
    views=st.integers(1, 8),
    uses=st.integers(1, 50),
    bytes_each=st.integers(4, 10**7),
)
seconds = st.floats(1e-12, 1.0)
costs = st.builds(Costs, make=seconds, write=seconds, read=seconds)
spaces = st.builds(Space, memory=st.integers(0, 10**12), disk=st.integers(0, 10**13))


@given(demands, costs, spaces)
def test_nothing_is_kept_where_it_does_not_fit(demand, costs, space):
    decision = decide(demand, costs, space)
    if decision.where != "nowhere":
        assert demand.bytes <= getattr(space, decision.where)


@given(demands, costs, spaces)
def test_memory_is_taken_only_for_rows_that_this_run_uses_again(demand, costs, space):
    if decide(demand, costs, space).where == "memory":
        assert demand.uses > demand.views


@given(demands, costs, spaces)
def test_a_row_goes_to_disk_only_if_writing_it_is_much_cheaper_than_making_it(demand, costs, space):
    if decide(demand, costs, space).where == "disk":
        assert costs.write * demand.bytes_each <= WORTH_WRITING * costs.make


@given(demands, costs)
def test_without_space_nothing_is_kept(demand, costs):
    assert decide(demand, costs, Space(memory=0, disk=0)).where == "nowhere"


def test_large_rows_of_a_cheap_stem_are_made_again_rather_than_written():
    stem = Demand(images=1000, views=1, uses=1, bytes_each=1_600_000)
    decision = decide(stem, Costs(make=0.004, write=1e-9, read=1e-9), Space(0, 10**12))
    assert decision.where == "nowhere"
    assert "to write one takes 1.6 ms, to make it 4 ms" in decision.reason


def test_the_reason_names_the_limit_that_was_hit():
    demand = Demand(images=1000, views=1, uses=9, bytes_each=1_000_000)
    decision = decide(demand, Costs(0.1, 1e-9, 1e-9), Space(memory=10**6, disk=10**7))
    assert "more than the 1 MB of memory" in decision.reason
    assert "more than the 10 MB of disk" in decision.reason


def test_what_a_decision_spares_is_the_making_that_is_not_repeated():
    demand = Demand(images=100, views=2, uses=10, bytes_each=1000)
    decision = decide(demand, Costs(0.01, 0.0, 0.0), Space(memory=10**9, disk=0))
    assert decision.where == "memory"
    assert decision.saves == 100 * 8 * 0.01


@given(demands, seconds, st.integers(0, 10**12))
def test_images_are_kept_only_where_they_fit_and_are_looked_at_again(demand, decode, memory):
    decision = decide_images(demand, decode, memory)
    if decision.where == "memory":
        assert demand.uses > demand.views
        assert demand.bytes_each <= memory
        assert 0 < decision.saves <= demand.repeated * decode * 1.0001
    else:
        assert decision.saves == 0


def test_where_not_all_images_fit_those_that_do_are_kept():
    demand = Demand(images=1000, views=1, uses=3, bytes_each=1000)
    decision = decide_images(demand, 0.01, memory=10_500)
    assert decision.where == "memory"
    assert "10 of 1,000 images" in decision.reason
    assert decision.saves == 10 * 2 * 0.01
