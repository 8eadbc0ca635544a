"""Pushing records to nodes and pulling their results."""
