"""reconcile: finds objects of bronze that no event has announced, and announces them to ingest."""
