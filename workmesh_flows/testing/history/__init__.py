"""A history of what happened in a test, and the checks of it."""
