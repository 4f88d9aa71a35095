"""DynamoDB: tables, rows of datasets, pages of results."""
