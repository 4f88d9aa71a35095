"""DynamoDB Streams: the log of changes of a table."""
