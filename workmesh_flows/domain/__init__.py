"""Floor 1: what a mesh is. Pure: no I/O, no clock, no environment."""
