"""Requests to nodes over HTTP, with httpx."""
