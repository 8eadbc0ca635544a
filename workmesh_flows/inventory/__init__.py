"""The inventory: the node blocks of the Prefect server."""
