import doctest
import importlib

import pytest

NAMES = [
    *("contest", "finding", "place", "process", "table"),
    *("quality.hog", "quality.score", "quality.table"),
]


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_of_the_docstrings_are_true(name):
    result = doctest.testmod(importlib.import_module(f"benchmarks.{name}"))
    assert result.attempted
    assert not result.failed
