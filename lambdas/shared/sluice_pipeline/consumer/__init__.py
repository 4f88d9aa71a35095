"""Consuming SQS messages."""
