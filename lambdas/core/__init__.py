"""The core: from a bronze object to silver, quarantine and the ledger; replay and watch."""
