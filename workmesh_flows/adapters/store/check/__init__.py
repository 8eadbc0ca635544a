"""Comparison of a database with a declaration: what exists, what is missing, and the DDL that fixes it."""
