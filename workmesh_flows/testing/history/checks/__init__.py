"""The checks on a history: one module for each guarantee of delivery."""
