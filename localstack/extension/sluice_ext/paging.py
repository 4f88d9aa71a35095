"""Lists in pages, as APIs with NextToken and MaxResults give them."""

import base64
from collections.abc import Sequence


class BadToken(ValueError):
    """A token that no page has given."""


def page[T](listed: Sequence[T], token: str | None, size: int) -> tuple[list[T], str | None]:
    """The page that a token names, or the first, of at most ``size``; and the token of the next, None at the end.

    Raises BadToken.
    """
    try:
        first = int(base64.urlsafe_b64decode(token.encode()).decode()) if token else 0
    except ValueError as error:
        raise BadToken from error
    last = first + size
    more = base64.urlsafe_b64encode(str(last).encode()).decode() if last < len(listed) else None
    return list(listed[first:last]), more
