"""Workmesh against a hand-written baseline, in one run; the results are ratios."""
