"""PartiQL: statements, and carrying them out with the operations on items."""
