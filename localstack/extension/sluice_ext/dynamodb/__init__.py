"""DynamoDB on moto's backend, behind LocalStack's API: nothing to download, AWS's atomicity."""
