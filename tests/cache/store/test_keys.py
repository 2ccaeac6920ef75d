"""Different facts never share a key, the same facts always do."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.cache.store.keys import canonical, key_of, names

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
FACTS = st.dictionaries(st.text(max_size=3), JSON, max_size=4)


@settings(deadline=None)
@given(facts=FACTS, data=st.data())
def test_the_order_of_facts_does_not_matter(facts, data):
    shuffled = dict(data.draw(st.permutations(list(facts.items()))))
    assert key_of(shuffled) == key_of(facts)


@settings(deadline=None)
@given(one=FACTS, other=FACTS)
def test_facts_that_differ_have_keys_that_differ(one, other):
    alike = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (key_of(one) == key_of(other)) == alike


@pytest.mark.parametrize("value", [{1: 2}, [{"a": {None: 1}}], ({2.0: 1},)])
def test_a_name_that_is_no_text_is_refused(value):
    with pytest.raises(TypeError, match="names that are text"):
        canonical({"value": value})


def test_what_is_no_json_is_refused():
    with pytest.raises(TypeError):
        canonical({"value": object()})
    with pytest.raises(ValueError, match="JSON"):
        canonical({"value": float("nan")})


def test_names_of_rows_differ_and_take_any_text():
    ids = ["a:0", "a:1", "", "ä:0", "\udce9:0"]
    found = names(ids)
    assert len({found[at : at + 16] for at in range(0, 80, 16)}) == 5
