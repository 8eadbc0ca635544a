"""SQL statements as pure functions, apart from sessions."""
