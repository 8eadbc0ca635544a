"""What may be wrong with a declaration."""
