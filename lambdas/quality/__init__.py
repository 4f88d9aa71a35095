"""The quality gate: staged objects are audited, and published or withheld."""
