"""A recorder of histories, and checks on them: what happened in a test, and which guarantee it broke."""
