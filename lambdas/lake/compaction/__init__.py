"""compaction: small files of a date become few large ones beside silver, and the catalog's partition points to them."""
