"""A database held against a declaration: what is there, what is missing, and the DDL that mends it."""
