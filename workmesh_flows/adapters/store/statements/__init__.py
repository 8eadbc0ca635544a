"""SQL statements as pure functions, which open no connection."""
