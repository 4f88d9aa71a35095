"""The function that carries out the workflow's states."""
