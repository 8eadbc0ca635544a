"""Floor 1: decisions. Facts in, plan out; the same input always gives the same plan."""
