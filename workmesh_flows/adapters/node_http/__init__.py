"""Requests to nodes over HTTP, by httpx."""
