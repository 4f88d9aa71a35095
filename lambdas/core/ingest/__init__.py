"""ingest: plans an object that S3 announces and sends its chunks."""
