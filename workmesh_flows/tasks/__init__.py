"""Prefect tasks: thin wrappers of operations. They take names and numbers, and return a report."""
