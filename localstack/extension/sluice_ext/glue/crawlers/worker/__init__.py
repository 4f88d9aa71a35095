"""What a crawler finds out from samples of files: formats, types, tables. Runs in a process of its own."""
