"""Checks of a declaration; each yields every problem it finds, in the user's words."""
