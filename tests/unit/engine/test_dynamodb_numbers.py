"""Numbers of DynamoDB: normal form, range, arithmetic, sizes.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
"""

from decimal import Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_ext.dynamodb import numeric, values
from sluice_ext.dynamodb.errors import DynamoError

EXACT = Context(prec=300)
digits = st.text("0123456789", min_size=1, max_size=38).filter(lambda text: text.strip("0"))
numbers = st.builds(
    lambda sign, text, exponent: f"{sign}{text}E{exponent}",
    st.sampled_from(["", "-", "+"]),
    digits,
    st.integers(-90, 80),
)


@given(numbers)
def test_the_normal_form_has_the_same_value_and_no_needless_zero(text: str) -> None:
    normal = numeric.normal(text)
    assert Decimal(normal) == Decimal(text)
    assert numeric.normal(normal) == normal
    whole, _, fraction = normal.lstrip("-").partition(".")
    assert whole == "0" or not whole.startswith("0")
    assert not fraction.endswith("0")
    assert "E" not in normal
    assert bool(fraction) == ("." in normal)


@given(numbers, st.integers(0, 5), st.integers(0, 5))
def test_writings_of_one_number_have_one_normal_form(text: str, front: int, back: int) -> None:
    mantissa, exponent = text.lstrip("+-").split("E")
    sign = "-" if text.startswith("-") else ""
    other = f"{sign}{'0' * front}{mantissa}.{'0' * back}e{exponent}"
    assert numeric.normal(other) == numeric.normal(text)


@given(numbers, numbers)
def test_sums_are_exact_or_refused(left: str, right: str) -> None:
    one, two = numeric.normal(left), numeric.normal(right)
    for ours, exact in (
        (numeric.add, EXACT.add(Decimal(one), Decimal(two))),
        (numeric.subtract, EXACT.subtract(Decimal(one), Decimal(two))),
    ):
        kept = len(str(exact.normalize(EXACT).as_tuple().digits).replace(", ", "").strip("(,)"))
        if kept > 38:
            with pytest.raises(DynamoError, match="38 significant digits"):
                ours(one, two)
        else:
            assert Decimal(ours(one, two)) == exact


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("1.0", "1"),
        ("1E2", "100"),
        ("-0", "0"),
        ("0.00", "0"),
        ("01", "1"),
        (".5", "0.5"),
        ("-1.50", "-1.5"),
        ("5.", "5"),
        ("0e9999999", "0"),
        ("1e-3", "0.001"),
    ],
)
def test_normal_forms(text: str, normal: str) -> None:
    assert numeric.normal(text) == normal


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1" * 39, "38 significant digits"),
        ("1E126", "overflow"),
        ("-1E126", "overflow"),
        ("1E-131", "underflow"),
        ("1E999999999999", "overflow"),
        ("1E-999999999999", "underflow"),
        ("", "cannot be converted"),
        ("abc", "cannot be converted"),
        (" 1", "cannot be converted"),
        ("1_0", "cannot be converted"),
        ("NaN", "cannot be converted"),
        ("Infinity", "cannot be converted"),
        ("\u0661", "cannot be converted"),
    ],
)
def test_what_is_no_number_is_refused(text: str, message: str) -> None:
    with pytest.raises(DynamoError, match=message) as caught:
        numeric.normal(text)
    assert caught.value.code == "ValidationException"


@given(st.lists(numbers, min_size=1, max_size=6))
def test_a_set_has_a_number_once_whatever_its_writing(texts: list[str]) -> None:
    different = {Decimal(text) for text in texts}
    if len(different) < len(texts):
        with pytest.raises(DynamoError, match="duplicates"):
            values.normal({"NS": texts})
    else:
        found = values.normal({"NS": texts})["NS"]
        assert [Decimal(text) for text in found] == sorted(different)


def test_sizes_are_those_of_the_documentation() -> None:
    """Two digits a byte and one more; lists and maps 3 bytes, and one for each element (CapacityUnitCalculations)."""
    assert values.size_of({"a": {"S": "\u00fc"}, "n": {"N": "1234"}}) == 1 + 2 + 1 + 3
    assert values.size({"L": [{"BOOL": True}, {"NULL": True}]}) == 3 + 2 * (1 + 1)
    assert values.size({"M": {"k": {"B": "AAEC"}}}) == 3 + 1 + 1 + 3
    assert values.size({"N": "-12"}) == 3
