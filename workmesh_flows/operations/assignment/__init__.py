"""Assignment of entities to nodes."""
