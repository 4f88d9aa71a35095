"""What ingest and transform share: identities, messages, datasets, chunks, ledger.

Nothing here needs pyarrow, so a function that moves no rows carries and imports none of it.
"""
