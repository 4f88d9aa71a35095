"""S3: LocalStack's own provider, with its objects in the engine's folder."""
