"""audit: whether the rows of a staged object are as its datasets expect."""
