"""What a run shows in Prefect: artifacts, events, automations, progress, tags."""
