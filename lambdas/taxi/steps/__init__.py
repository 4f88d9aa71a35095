"""taxi-steps: the states of the workflow between and after its Glue jobs."""
