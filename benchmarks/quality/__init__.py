"""How good a small backbone's features are, as accuracies: `python -m benchmarks.quality`."""
