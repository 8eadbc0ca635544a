"""The runs of flows: operations as Prefect tasks, then tables, pages and events about what was done."""
