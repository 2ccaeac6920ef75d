"""Numbers about a model: metrics, intervals, the diagnosis."""
