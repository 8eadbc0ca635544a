"""One file for each version of the Workmesh tables; its docstring is shown to the user."""
