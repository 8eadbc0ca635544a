"""A proxy in front of a node that injects faults."""
