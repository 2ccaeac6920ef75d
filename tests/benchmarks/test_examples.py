import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["contest", "finding", "place", "process", "table"])
def test_the_examples_of_the_docstrings_are_true(name):
    result = doctest.testmod(importlib.import_module(f"benchmarks.{name}"))
    assert result.attempted
    assert not result.failed
