"""load: copies a committed object's silver rows into the warehouse."""
