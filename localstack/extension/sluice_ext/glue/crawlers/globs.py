"""Exclude patterns of a crawler: globs that are relative to the include path.

https://docs.aws.amazon.com/glue/latest/dg/define-crawler.html#crawler-data-stores-exclude
"""

import re
from collections.abc import Iterable


class BadGlob(ValueError):
    """A pattern whose brackets or braces do not end."""


def matcher(patterns: Iterable[str]) -> re.Pattern[str] | None:
    """What matches a key, relative to the include path, that one of the patterns excludes. Raises BadGlob."""
    found = [_regex(one) for one in patterns]
    return re.compile("|".join(f"(?:{one})" for one in found), re.DOTALL) if found else None


def _regex(glob: str) -> str:
    """``*`` ends at a slash, ``**`` does not; ``?``, ``[a-z]``, ``[!a]``, ``{a,b}`` and a backslash as in a shell."""
    made, at, depth = "", 0, 0
    while at < len(glob):
        one = glob[at]
        if one == "*":
            stars = 2 if glob.startswith("**", at) else 1
            made += ".*" if stars == 2 else "[^/]*"
            at += stars
            continue
        if one == "?":
            made += "[^/]"
        elif one == "[":
            end = glob.find("]", at + 2)
            if end < 0:
                raise BadGlob(f"the bracket in {glob!r} does not end")
            inner = glob[at + 1 : end]
            negated = inner.startswith("!")
            listed = re.sub(r"([\\\[\]^])", r"\\\1", inner.removeprefix("!"))
            made += f"(?!/)[{'^' if negated else ''}{listed}]"
            at = end
        elif one == "{":
            made, depth = made + "(?:", depth + 1
        elif one == "}" and depth:
            made, depth = made + ")", depth - 1
        elif one == "," and depth:
            made += "|"
        elif one == "\\" and at + 1 < len(glob):
            at += 1
            made += re.escape(glob[at])
        else:
            made += re.escape(one)
        at += 1
    if depth:
        raise BadGlob(f"the brace in {glob!r} does not end")
    try:
        re.compile(made)
    except re.error as error:
        raise BadGlob(f"{glob!r}: {error}") from None
    return made
