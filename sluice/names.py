"""Names that the user types: what there is, and the nearest to what was typed."""

from __future__ import annotations

from collections.abc import Iterable

from sluice.console import USAGE, fail

_SHOWN = 20


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like this one, None when none is. Case and punctuation count little."""
    from difflib import get_close_matches

    plain: dict[str, str] = {}
    for one in known:
        plain.setdefault(_plain(one), one)
    wanted = _plain(name)
    close = get_close_matches(wanted, plain, n=1)
    if close:
        return plain[close[0]]
    parts = [one for one in plain if len(wanted) > 2 and len(one) > 2 and (wanted in one or one in wanted)]
    return plain[min(parts, key=len)] if parts else None


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """``there is no dataset 'palets', did you mean 'pallets'? There are: ...``, in one line."""
    names = sorted(known)
    if not names:
        return f"there is no {what} {name!r}; there is none"
    close = nearest(name, names)
    joint = f", did you mean {close!r}? There" if close else "; there"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    listed = f"{'is' if len(names) == 1 else 'are'}: {', '.join(names[:_SHOWN])}{more}"
    return f"there is no {what} {name!r}{joint} {listed}"


def require(what: str, name: str, known: Iterable[str], code: int = USAGE) -> None:
    """Ends with code 2 when the name is none of the known ones."""
    names = list(known)
    if name not in names:
        fail(unknown(what, name, names), code)


def _plain(name: str) -> str:
    return "".join(char for char in name.casefold() if char.isalnum()) or name
