"""Floor 1: planners. Pure functions from facts to a plan; the same input always gives the same plan."""
