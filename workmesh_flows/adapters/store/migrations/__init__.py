"""Migrations of the Workmesh tables, run by Alembic; only `workmesh upgrade` imports them."""
