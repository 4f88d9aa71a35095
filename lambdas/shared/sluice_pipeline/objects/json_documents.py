"""Rows of a JSON text that is read as a whole: objects over several lines, in an array, or in an envelope's array."""

import json
import re
from collections.abc import Mapping
from typing import Final

from sluice_pipeline.objects.json_text import BLANK, NO_SEPARATOR, SEPARATORS, Piece, Text, next_piece, skip

_BROKEN_ENVELOPE: Final = re.compile(r'\{\s*"(summary|records)"\s*:\s*[\[{]')
_SUMMARY: Final = re.compile(r'[,\s]*"summary"\s*:\s*\{')
_AFTER_ARRAY: Final = re.compile(r"][\s,}\]]*\{")


def document_pieces(text: str, records_at: str = "") -> tuple[list[Piece], Piece | None]:
    """The rows of a text in which objects may span lines, stand in an array, or in an envelope's array; its summary.

    An only object ``{"summary": {...}, "records": [...]}`` is an envelope. With ``records_at``, every object that has
    an array of this name is one.
    """
    found = Text(text)
    position = skip(text, 0, BLANK)
    if not records_at and text.startswith("{", position) and (wrapped := _envelope(found, position)):
        return wrapped
    pieces: list[Piece] = []
    depth = 0
    while (position := skip(text, position, SEPARATORS)) < len(text):
        if text[position] == "[" and not depth:
            depth, position, found.in_array = 1, position + 1, True
        elif text[position] == "]" and depth:
            depth, position, found.in_array = 0, position + 1, False
        elif records_at and text[position] == "{":
            inside, position = _of_envelope(found, position, records_at)
            pieces += inside
        else:
            pieces.append(_next_element(found, position) if depth else next_piece(found, position))
            position = pieces[-1].end
    if depth and (not pieces or pieces[-1].whole):
        pieces.append(Piece(len(text), len(text), False))  # the array has no end: rows may be missing
    return pieces, None


def _envelope(found: Text, position: int) -> tuple[list[Piece], Piece | None] | None:
    """Pieces and summary of the one object that the text is; None when it is no envelope of records."""
    text = found.text
    members, end = _members(found, position)
    spans = {name: (begin, after) for name, begin, after in members}
    shape = {name: text[begin] for name, (begin, _) in spans.items()}
    if end > 0:
        known = len(members) == len(shape) and shape in ({"records": "["}, {"records": "[", "summary": "{"})
        if not known or NO_SEPARATOR.search(text, end):
            return None
    elif not _BROKEN_ENVELOPE.match(text, position):
        return None
    start = _array(found, position, "records", spans)
    if start < 0:
        return None
    pieces, after = _elements(found, start, "records", broken=end < 0)
    begin, stop = spans.get("summary", (0, 0))
    if end < 0 and stop <= begin and (match := _SUMMARY.match(text, after)):
        begin = match.end() - 1
        stop = after = max(found.end_of(begin)[0], begin)
    if end < 0:
        pieces += _rest(found, after, len(text))
    return pieces, Piece(begin, stop, True) if stop > begin and text[begin] == "{" else None


def _of_envelope(found: Text, position: int, name: str) -> tuple[list[Piece], int]:
    """The elements of the array ``name`` in the object at ``position``, or the object itself; and where it ends."""
    text = found.text
    members, end = _members(found, position)
    start = _array(found, position, name, {one: (begin, after) for one, begin, after in members}, broken=end < 0)
    if start < 0:
        piece = next_piece(found, position)
        return [piece], piece.end
    pieces, after = _elements(found, start, name, broken=end < 0)
    found.in_array = False
    if end > 0:
        return pieces, end
    # what is left of the broken envelope goes on to the next object
    end = text.find("{", after)
    end = len(text) if end < 0 else end
    pieces += _rest(found, after, end)
    return pieces, max(end, pieces[-1].end if pieces else end)


def _array(found: Text, position: int, name: str, spans: Mapping[str, tuple[int, int]], *, broken: bool = True) -> int:
    """Where the array ``name`` of an envelope begins; -1 when it has none."""
    start = spans.get(name, (-1, -1))[0]
    if start >= 0:
        return start if found.text[start] == "[" else -1
    match = re.compile(rf'"{re.escape(name)}"\s*:\s*\[').search(found.text, position) if broken else None
    return match.end() - 1 if match else -1


def _rest(found: Text, position: int, end: int) -> list[Piece]:
    """What stands after a broken envelope's array; the brackets that close it are no piece."""
    text = found.text
    pieces: list[Piece] = []
    while (position := skip(text, position, SEPARATORS)) < end:
        if text[position] in "}]":
            position += 1
        else:
            pieces.append(next_piece(found, position))
            position = pieces[-1].end
    return pieces


def _members(found: Text, position: int) -> tuple[list[tuple[str, int, int]], int]:
    """Name and span of the members of the object at ``position``, and its end (-1: it is broken).

    Of a member whose value is broken, the span ends where it begins; it is the last one.
    """
    text = found.text
    members: list[tuple[str, int, int]] = []
    position += 1
    while True:
        position = skip(text, position, SEPARATORS)
        if text.startswith("}", position):
            return members, position + 1
        end = found.end_of(position)[0] if text.startswith('"', position) else -1
        colon = skip(text, end, BLANK) if end > 0 else len(text)
        if not text.startswith(":", colon):
            return members, -1
        begin = skip(text, colon + 1, BLANK)
        name = str(json.loads(text[position:end]))
        end, _ = found.end_of(begin)
        if begin < len(text):
            members.append((name, begin, max(end, begin)))
        if end < 0:
            return members, -1
        position = end


def _elements(found: Text, start: int, name: str, *, broken: bool) -> tuple[list[Piece], int]:
    """The elements of the array ``name`` that begins at ``start``, and the position behind its end.

    An array that is not closed ends where the next envelope begins.
    """
    text = found.text
    found.in_array = True
    envelope = re.compile(rf'\{{\s*"{re.escape(name)}"\s*:\s*\[')
    pieces: list[Piece] = []
    position = start + 1
    while (position := skip(text, position, SEPARATORS)) < len(text):
        if text[position] == "]":
            # one that closes an array in a broken row is followed by further rows
            after = _AFTER_ARRAY.match(text, position)
            if not broken or after is None or envelope.match(text, after.end() - 1):
                return pieces, position + 1
            position = after.end() - 1
        if envelope.match(text, position):
            return pieces, position
        piece = _next_element(found, position)
        pieces.append(piece)
        position = piece.end
    if not pieces or pieces[-1].whole:
        pieces.append(Piece(len(text), len(text), False))
    return pieces, len(text)


def _next_element(found: Text, position: int) -> Piece:
    if found.text[position] not in "[{":
        end, _ = found.end_of(position)
        if end > 0 and found.text.startswith((",", "]"), skip(found.text, end, BLANK)):
            return Piece(position, end, False)
    return next_piece(found, position)
