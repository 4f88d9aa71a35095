"""Check-ins: a day's files through a workflow of transform, test and load."""
