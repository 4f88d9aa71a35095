"""The function that submits a day's files to the workflow."""
