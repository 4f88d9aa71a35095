"""Feedback: rows of committed objects in DynamoDB, and notices about anomalies."""
