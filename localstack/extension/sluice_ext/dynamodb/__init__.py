"""DynamoDB on moto's backend, behind LocalStack's API: no download, and as atomic as on AWS."""
