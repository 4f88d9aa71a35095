"""register: a committed object's partitions and counts become visible to Athena."""
