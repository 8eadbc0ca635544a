"""The master's database: the user's tables, the Workmesh tables beside them, and all reads and writes of both."""
