"""Multinomial logistic regression, solved for many strengths and folds in one go; numpy alone."""
