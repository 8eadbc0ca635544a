"""What flow runs do, with Prefect around the operations."""
