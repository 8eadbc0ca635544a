"""Moving entities between nodes."""
