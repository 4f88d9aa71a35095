"""The Data API: statements that run by themselves, and what they returned.

https://docs.aws.amazon.com/redshift/latest/mgmt/data-api.html
"""
