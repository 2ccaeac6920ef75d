"""The solved head: logistic regression on frozen features, by numpy alone."""
