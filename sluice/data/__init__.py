"""The data side of the host tool: feeding the pipeline, and proving what became of every row."""
