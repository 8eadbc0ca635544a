"""The checks on a history: one module for each promise of delivery."""
