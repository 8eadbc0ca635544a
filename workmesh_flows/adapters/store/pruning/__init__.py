"""Old rows of the Workmesh tables that nothing can still need: one module for each table."""
