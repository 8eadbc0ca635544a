"""Prefect tasks: thin wrappers of the operations. Names and numbers go in, a report comes out."""
