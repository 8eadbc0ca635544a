"""Floor 2: the story, told once: assign, push, pull, report. Nothing of Prefect."""
