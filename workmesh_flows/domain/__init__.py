"""Floor 1: the domain of a mesh. Pure: no I/O, no clock, no environment."""
