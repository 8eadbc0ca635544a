"""Floor 2: one library an adapter: SQLAlchemy for the store, httpx for the nodes."""
