"""gate: starts the audits of objects that are staged."""
