"""A query that ends FAILED."""


class QueryFailed(Exception):
    """A query cannot be answered; the message is its StateChangeReason.

    ``category`` is AthenaError's: 1 = the service's fault, 2 = the user's, 3 = other.
    https://docs.aws.amazon.com/athena/latest/ug/error-reference.html
    """

    def __init__(self, message: str, category: int = 2) -> None:
        super().__init__(message)
        self.category = category


def unsupported(construct: str) -> QueryFailed:
    """Something that Athena may know and this engine does not."""
    return QueryFailed(f"NOT_SUPPORTED: {construct} is not supported by this engine")
