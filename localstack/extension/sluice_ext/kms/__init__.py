"""KMS: LocalStack's own provider, with the keys that AWS manages."""
