"""Whether the parts of a mesh work: its nodes, its database."""
