"""The file beside a result of Athena, against bytes that AWS wrote and against a reader of protocol buffers."""

from hypothesis import given
from hypothesis import strategies as st

from sluice_ext.athena import result_metadata
from sluice_ext.athena.worker.hive_types import Type
from sluice_ext.athena.worker.results import column_info

# https://stackoverflow.com/questions/55991018 shows a whole file.
AWS = bytes.fromhex(
    "0a1b32303139303432335f3132353132385f30303030315f6568747572"
    "22190a04686976652203617279" "2a03617279" "32056172726179" "4803"
)  # fmt: skip


def test_a_result_is_described_as_aws_does_it() -> None:
    column = column_info("ary", Type("array"))
    assert result_metadata.encode("20190423_125128_00001_ehtur", [column]) == AWS


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at


def fields(data: bytes) -> list[tuple[int, int | bytes]]:
    found: list[tuple[int, int | bytes]] = []
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        value, at = varint(data, at)
        if tag & 7 == 2:
            found.append((tag >> 3, data[at : at + value]))
            at += value
        else:
            found.append((tag >> 3, value))
    return found


@given(st.lists(st.tuples(st.text(min_size=1, max_size=300), st.integers(0, 2**31 - 1)), max_size=5))
def test_columns_of_any_name_and_precision_are_read_back(columns: list[tuple[str, int]]) -> None:
    described = [column_info(name, Type("varchar", precision)) for name, precision in columns]
    found = fields(result_metadata.encode("id", described))
    assert found[0] == (1, b"id")
    read = [dict(fields(value)) for field, value in found[1:] if field == 4 and isinstance(value, bytes)]
    assert [(one[4], one.get(7, 0), one[6], one[10]) for one in read] == [
        (name.encode(), precision, b"varchar", 1) for name, precision in columns
    ]
