"""Numbers: their normal form and decimal arithmetic.

A number has up to 38 significant digits and a magnitude from 1E-130 to 9.99...E+125. Leading and trailing zeros are no
part of it, so "1.0", "01" and "1E0" are the number "1".
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
"""

import re
from decimal import Context, Decimal

from sluice_ext.dynamodb.errors import invalid

_DIGITS = 38
_LARGEST, _SMALLEST = 125, -130
_WRITTEN = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE]([+-]?[0-9]+))?", re.ASCII)
# Any two numbers are less than 260 digits apart, so sums are exact.
_EXACT = Context(prec=300, Emax=10_000, Emin=-10_000)
_EXPONENT = 5


def normal(text: str) -> str:
    """The number's normal form. Raises ValidationException as DynamoDB does."""
    if text.isdigit() and text.isascii() and len(text) <= _DIGITS and (text[0] != "0" or text == "0"):
        return text
    match = _WRITTEN.fullmatch(text)
    if match is None:
        raise invalid("The parameter cannot be converted to a numeric value" + (f": {text}" if text else ""))
    exponent = match[1]
    mantissa = re.split("[eE]", text)[0]
    if not mantissa.strip("+-0."):
        return "0"
    if exponent and len(exponent.lstrip("+-0")) > _EXPONENT:
        raise _out_of_range(too_large=exponent[0] != "-")
    return _normal(Decimal(text))


def add(left: str, right: str) -> str:
    """The sum of two numbers in normal form."""
    return _normal(_EXACT.add(Decimal(left), Decimal(right)))


def subtract(left: str, right: str) -> str:
    """The difference of two numbers in normal form."""
    return _normal(_EXACT.subtract(Decimal(left), Decimal(right)))


def size(text: str) -> int:
    """Bytes of a number in normal form: one for two digits, one more, and one for a sign."""
    digits = text.lstrip("-").replace(".", "").strip("0")
    return (len(digits) + 1) // 2 + 1 + text.startswith("-")


def _normal(number: Decimal) -> str:
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)  # neither infinite nor NaN
    if not any(digits):
        return "0"
    while digits[-1] == 0:
        digits, exponent = digits[:-1], exponent + 1
    first = next(index for index, digit in enumerate(digits) if digit)
    digits = digits[first:]
    magnitude = exponent + len(digits) - 1
    if magnitude > _LARGEST or magnitude < _SMALLEST:
        raise _out_of_range(too_large=magnitude > 0)
    if len(digits) > _DIGITS:
        raise invalid("Attempting to store more than 38 significant digits in a Number")
    return format(Decimal((sign, digits, exponent)), "f")


def _out_of_range(too_large: bool) -> Exception:
    how, what = ("overflow", "larger") if too_large else ("underflow", "smaller")
    return invalid(f"Number {how}. Attempting to store a number with magnitude {what} than supported range")
