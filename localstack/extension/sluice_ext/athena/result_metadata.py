"""The binary file beside a result, which names the columns: ``<query>.csv.metadata``.

AWS documents that there is one and not what is in it. It is a message of protocol buffers: 1 the query's id, 4 a column
each: 1 catalog, 4 name, 5 label, 6 type, 7 precision, 8 scale, 9 nullable, 10 case-sensitive; zeros are left out.
https://docs.aws.amazon.com/athena/latest/ug/querying-finding-output-files.html
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

_NULLABLE: Final = {"NOT_NULL": 1, "NULLABLE": 2, "UNKNOWN": 3}


def encode(query: str, columns: Iterable[Mapping[str, Any]]) -> bytes:
    """The file's content; columns: ColumnInfo of each."""
    return _text(1, query) + b"".join(_bytes(4, _column(one)) for one in columns)


def _column(one: Mapping[str, Any]) -> bytes:
    return (
        _text(1, one["CatalogName"])
        + _text(4, one["Name"])
        + _text(5, one["Label"])
        + _text(6, one["Type"])
        + _number(7, one["Precision"])
        + _number(8, one["Scale"])
        + _number(9, _NULLABLE[one["Nullable"]])
        + _number(10, int(one["CaseSensitive"]))
    )


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value) if value else b""


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value
