"""The ledger: what arrived and what became of it."""
