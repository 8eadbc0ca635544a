"""Tables, pages and charts about a mesh: for artifacts, the terminal, notebooks and HTML. No Prefect."""
