"""Where the JSON objects of a text begin and end, also between bytes that are no JSON.

A row is an object at the top level. White space, commas, NUL padding and the record separator of RFC 7464 separate
rows; anything else between two rows is a piece of its own, which the reader rejects. A broken object ends where the
next whole one begins, so a fault costs its own row only.

All positions are bytes: the texts are decoded as Latin-1, which gives each byte one character. The bytes of a
multi-byte UTF-8 character can only be inside a string, where none of them looks like JSON's own characters.
"""

import json
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

BLANK: Final = " \t\r\n\0\x1e"
SEPARATORS: Final = BLANK + ","
NO_SEPARATOR: Final = re.compile(r"[^ \t\r\n\0\x1e,]")
_NO_BLANK: Final = re.compile(r"[^ \t\r\n\0\x1e]")
_TOKEN: Final = re.compile(r'"[^"\\\r\n]*+(?:\\.[^"\\\r\n]*+)*+"|[\[\]{}]')
_WINDOW: Final = 64 * 1024  # an error of the decoder costs time for all text before it, so it is given little of it
_TAIL: Final = 16  # an error so close to a window's end may come from the cut
_CLOSES: Final = {"}": "{", "]": "["}
_BETWEEN: Final = re.compile(r"[\s\d:,.+\-Etruefalsn]*")  # strings and brackets: literals and numbers
_BALANCE: Final = 1024 * 1024  # how far the end of a broken object is looked for by its brackets


class Piece(NamedTuple):
    """Bytes [start, end) of a text: a whole JSON object, or (``whole`` false) something that is none."""

    start: int
    end: int
    whole: bool


def _ignore(_text: str) -> None:
    """Values do not matter here, and a number of 5,000 digits must not cost its conversion."""


_decode = json.JSONDecoder(parse_int=_ignore, parse_float=_ignore, parse_constant=_ignore).raw_decode


class Text:
    """A text with its decoder. The decoder sees a window, because its errors count the lines before them."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.in_array = False  # whether rows are the elements of an array
        self._base = 0
        self._window = text if len(text) <= _WINDOW else ""

    def end_of(self, position: int) -> tuple[int, int]:
        """(end of the value at ``position``, -1), or (-1, position of the error)."""
        size = _WINDOW
        at = position - self._base
        if at < 0 or (at > len(self._window) - size // 2 and not self._reaches_end()):
            at = self._look(position, size)
        while True:
            try:
                return _decode(self._window, at)[1] + self._base, -1
            except json.JSONDecodeError as error:
                cut = error.pos >= len(self._window) - _TAIL or error.msg.startswith("Unterminated string")
                if not cut or self._reaches_end():
                    return -1, error.pos + self._base
            except RecursionError:
                end = _balanced(self.text, position, len(self.text), -1)
                return (end, -1) if end > 0 else (-1, position)
            size *= 8
            at = self._look(position, size)

    def _look(self, position: int, size: int) -> int:
        self._base, self._window = position, self.text[position : position + size]
        return 0

    def _reaches_end(self) -> bool:
        return self._base + len(self._window) >= len(self.text)

    def next_object(self, start: int, error: int) -> int:
        """Where the next row begins after the broken one at ``start``; the text's end when there is none.

        The decoder failed at ``error``: what is before it is sound, but for the last string, which may have lost its
        closing quote and swallowed the begin of other rows.
        """
        text = self.text
        end = _balanced(text, start, min(len(text), start + _BALANCE), error)
        if end > error and self._row_follows(end):
            return end
        quote = text.rfind('"', start, max(start, text.rfind('"', start, error + 1)))
        at = text.find("{", start + 1)
        while at >= 0:
            before = _before(text, at, start)
            # An object within the sound part of the broken row is no row. Behind the fault, one in an array is taken.
            nested = text[before] in ":[" or (text[before] == "," and (at < quote or not self.in_array))
            # Within a row no bracket opens where another has just been closed: there the next array begins.
            nested = nested and not (text[before] == "[" and text[_before(text, before, start)] in "]}")
            if (error in (at, before) or not nested) and text.startswith('"', skip(text, at + 1, BLANK)):
                end, _ = self.end_of(at)
                if end > 0 and self._ends_well(end):
                    return at
            at = text.find("{", at + 1)
        return len(text)

    def _row_follows(self, position: int) -> bool:
        position = skip(self.text, position, SEPARATORS)
        if position >= len(self.text):
            return not self.in_array
        return self.text[position] in "{]"

    def _ends_well(self, position: int) -> bool:
        """Whether what follows an object may follow a row. Within an object a name follows, or a bracket."""
        position = skip(self.text, position, SEPARATORS)
        if position >= len(self.text) or self.text[position] not in '"}]:':
            return True
        if self.text[position] != "]":
            return False
        last = not NO_SEPARATOR.search(self.text, position + 1)
        # Within an object a comma follows the array; without one the next row, or array of rows, follows.
        return self.in_array or last or self.text.startswith(("[", "{"), skip(self.text, position + 1, BLANK))


def line_pieces(text: str) -> list[Piece]:
    """The rows of one line, and what else is on it. A carriage return ends a piece that is no object."""
    start = skip(text, 0, BLANK)
    found = Text(text)
    end, _ = found.end_of(start) if start < len(text) else (-1, 0)
    if end > 0 and not _NO_BLANK.search(text, end):
        return _elements(found, start, end) or [Piece(start, end, text[start] == "{")]
    pieces: list[Piece] = []
    position = skip(text, 0, SEPARATORS)
    while position < len(text):
        piece = next_piece(found, position)
        for one in (piece,) if piece.whole else _by_line(text, piece):
            if pieces and _is_one(text, pieces[-1], one):
                one = Piece(pieces.pop().start, one.end, False)
            pieces.append(one)
        position = skip(text, piece.end, SEPARATORS)
    return pieces or ([Piece(start, len(text), False)] if start < len(text) else [])


def _elements(found: Text, start: int, end: int) -> list[Piece]:
    """The elements of the sound value [start, end) when it is an array of rows; nothing when no object is in it."""
    text = found.text
    pieces: list[Piece] = []
    position = start + 1
    while text[start] == "[" and (position := skip(text, position, SEPARATORS)) < end - 1:
        stop, _ = found.end_of(position)
        if stop < 0:  # the decoder has no room for so many levels
            return []
        pieces.append(Piece(position, stop, text[position] == "{"))
        position = stop
    return pieces if any(piece.whole for piece in pieces) else []


def breaks_off(text: str) -> bool:
    """Whether a text is the begin of one JSON value that has no fault up to the text's end."""
    try:
        _decode(text)
    except json.JSONDecodeError as error:
        return error.pos >= len(text) - _TAIL or error.msg.startswith("Unterminated string")
    except RecursionError:
        return True
    return False


def next_piece(found: Text, position: int) -> Piece:
    """The object that begins at ``position``; or what is none, up to the next row."""
    text = found.text
    if text[position] == "{":
        end, error = found.end_of(position)
        if end > 0:
            return Piece(position, end, True)
    else:
        error = position
        end = text.find("{", position)
        end = len(text) if end < 0 else end
        bracket = text.find("]", position, end)  # may end an array
        if '"' not in text[position:end]:
            return trimmed(text, position, end if bracket <= position else bracket)
    return trimmed(text, position, found.next_object(position, error))


def trimmed(text: str, start: int, end: int) -> Piece:
    while end > start + 1 and text[end - 1] in SEPARATORS:
        end -= 1
    return Piece(start, end, False)


def _before(text: str, position: int, start: int) -> int:
    """The position of the last character before ``position`` that is not blank; not before ``start``."""
    position -= 1
    while position > start and text[position] in BLANK:
        position -= 1
    return position


def _is_one(text: str, left: Piece, right: Piece) -> bool:
    """Whether two pieces that are no rows are one: on one line, and not the begins of two objects."""
    if left.whole or right.whole or "\r" in text[left.end : right.start] or "\n" in text[left.end : right.start]:
        return False
    return not (text[left.start] == "{" and text[right.start] == "{")


def _by_line(text: str, piece: Piece) -> Iterator[Piece]:
    for part in re.finditer(r"[^\r\n]+", text[piece.start : piece.end]):
        if not part[0].strip(SEPARATORS):
            continue
        start = piece.start + part.start() + len(part[0]) - len(part[0].lstrip(BLANK))
        yield Piece(start, piece.start + part.start() + len(part[0].rstrip(BLANK)), False)


def skip(text: str, position: int, characters: str) -> int:
    """The position of the next character that is none of ``characters``: BLANK or SEPARATORS."""
    match = (_NO_BLANK if characters is BLANK else NO_SEPARATOR).search(text, position)
    return match.start() if match else len(text)


def _balanced(text: str, start: int, limit: int, error: int) -> int:
    """Where the brackets that are open at ``start`` are closed again.

    -1 when they are not, up to ``limit``, or when brackets or quotes do not pair (a quote that is lost turns strings
    inside out): then nothing is known. The byte at ``error`` is not looked at.
    """
    open_ = [] if text.startswith("{", start) else ["{"]
    end = start
    for token in _TOKEN.finditer(text, start, limit):
        between = text[end : token.start()]
        if end <= error < token.start():
            between = text[end:error] + text[error + 1 : token.start()]
        if not _BETWEEN.fullmatch(between):
            return -1
        end = token.end()
        if token[0] in _CLOSES.values():
            open_.append(token[0])
        elif token[0] in _CLOSES:
            if open_.pop() != _CLOSES[token[0]]:
                return -1
            if not open_:
                return end
    return -1
