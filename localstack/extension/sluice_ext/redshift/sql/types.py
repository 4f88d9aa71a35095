"""The types of a result's columns as the Data API names them.

https://docs.aws.amazon.com/redshift-data/latest/APIReference/API_ColumnMetadata.html
"""

from collections.abc import Sequence
from typing import Any, Final

import psycopg

_NAMES: Final = {"text": "varchar", "name": "varchar", "jsonb": "super", "json": "super", "bytea": "varbyte",
                 "char": "bpchar", "void": "varchar", "unknown": "varchar"}  # fmt: skip
_SIGNED: Final = {"int2", "int4", "int8", "float4", "float8", "numeric"}
_PRECISIONS: Final = {"int2": 5, "int4": 10, "int8": 19, "float4": 8, "float8": 17, "bool": 1, "date": 13,
                      "timestamp": 29, "timestamptz": 35, "time": 15}  # fmt: skip
_TEXTS: Final = {"varchar", "bpchar"}
_LONGEST: Final = 65535


def name_of(type_code: int, connection: psycopg.Connection[Any]) -> str:
    """Redshift's name of a type: int4, int8, numeric, varchar, super."""
    known = connection.adapters.types.get(type_code)
    return "varchar" if known is None else shown_name(known.name)


def shown_name(name: str) -> str:
    """Redshift's name of a type by PostgreSQL's."""
    return _NAMES.get(name, name)


def column_metadata(description: Sequence[Any], connection: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    """ColumnMetadata of each column of a cursor's description."""
    found = []
    for one in description:
        name = name_of(one.type_code, connection)
        precision = one.precision if name == "numeric" else _PRECISIONS.get(name, 0)
        length = one.display_size if name in _TEXTS and one.display_size and one.display_size > 0 else None
        found.append(
            {
                "isCaseSensitive": name in _TEXTS or name == "super",
                "isCurrency": False,
                "isSigned": name in _SIGNED,
                "label": one.name,
                "length": length or (_LONGEST if name in _TEXTS else 0),
                "name": one.name,
                "nullable": 1,
                "precision": (length or _LONGEST) if name in _TEXTS else precision or 0,
                "scale": (one.scale or 0) if name == "numeric" else 6 if name.startswith("timestamp") else 0,
                "schemaName": "",
                "tableName": "",
                "typeName": name,
            }
        )
    return found
