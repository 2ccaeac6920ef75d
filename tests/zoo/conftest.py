"""Data and weights, as for whole runs."""

from tests.workflows.conftest import photos, weights

__all__ = ["photos", "weights"]
