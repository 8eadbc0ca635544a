"""Ours against a hand-written baseline, in one run; figures are ratios."""
