"""Benchmarks: the budgets, with the floor measured in the same run. Read the ratios."""
