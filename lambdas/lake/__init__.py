"""Lake: silver and the ledger as tables of Glue."""
