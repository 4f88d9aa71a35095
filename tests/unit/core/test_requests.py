"""Named requests: known fields, strings, required ones, one canonical form."""

import json
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_pipeline.requests import InvalidRequest, NamedRequest, digest, object_id_of


@dataclass(frozen=True, slots=True)
class Wanted(NamedRequest):
    REQUIRED: ClassVar[tuple[str, ...]] = ("day",)

    day: str
    id: str = ""


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ({"day": "x", "colour": "red"}, "colour is unknown; known are day, id"),
        ({"day": "x", "id": None}, "id is not a string"),
        ({"day": 5}, "day is not a string"),
        ({"id": "x"}, "day is missing"),
        ({"day": ""}, "day is missing"),
    ],
)
def test_a_wrong_request_is_refused_with_its_field(raw: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{reason}$"):
        Wanted.given(raw)


@given(st.fixed_dictionaries({"day": st.text(min_size=1)}, optional={"id": st.text()}))
def test_the_canonical_form_is_a_request_again(raw: dict[str, str]) -> None:
    wanted = Wanted(**Wanted.given(raw))
    assert Wanted(**Wanted.given(json.loads(wanted.canonical))) == wanted
    assert wanted.canonical == Wanted(**dict(reversed(raw.items()))).canonical


@pytest.mark.parametrize("text", ["", "0f", "0F" * 16, "0f" * 16 + "\n", "0f" * 17])
def test_an_object_id_is_32_hexadecimal_digits(text: str) -> None:
    assert object_id_of("0f" * 16) == "0f" * 16
    with pytest.raises(InvalidRequest, match="32 hexadecimal digits"):
        object_id_of(text)


def test_a_digest_is_short_and_always_the_same() -> None:
    assert digest("x", 12) == digest("x", 32)[:12] == "2d711642b726"
