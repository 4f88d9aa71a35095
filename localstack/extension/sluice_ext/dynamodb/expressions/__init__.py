"""DynamoDB's expressions: tokens, syntax trees, evaluation."""
