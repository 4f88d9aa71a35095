"""Crawlers: they list S3, read samples of what they find, and describe it as tables of the catalog."""
