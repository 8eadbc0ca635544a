"""Giving entities their nodes."""
