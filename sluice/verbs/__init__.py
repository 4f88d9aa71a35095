"""The verbs of the `sluice` command, one module per group. Nothing heavy is imported at the top of these."""
