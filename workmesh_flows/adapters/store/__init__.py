"""The master's database: its tables, our own beside them, and what is read and written there."""
