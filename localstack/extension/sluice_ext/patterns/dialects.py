"""What the services understand of the pattern language."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final


@dataclass(frozen=True, slots=True)
class Dialect:
    """Operators, those inside anything-but, those inside prefix and suffix; the largest number; fewest combinations."""

    operators: frozenset[str]
    but: frozenset[str]
    inside_affix: frozenset[str]
    largest: Decimal
    combinations: int
    stars: int


_COMMON: Final = frozenset({"prefix", "suffix", "equals-ignore-case", "anything-but", "numeric", "exists"})
_NESTED: Final = frozenset({"prefix", "suffix", "equals-ignore-case", "wildcard"})

# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html ("between -5.0e9 and +5.0e9
# inclusive"); an $or makes at most 1000 combinations.
EVENTBRIDGE: Final = Dialect(
    operators=_COMMON | {"cidr", "wildcard"},
    but=_NESTED,
    inside_affix=frozenset({"equals-ignore-case"}),
    largest=Decimal("5e9"),
    combinations=1000,
    stars=5,
)
# "A summary of all the comparison operators available for Lambda event filtering":
# https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html#filtering-syntax
MAPPING: Final = Dialect(
    operators=_COMMON,
    but=frozenset(),
    inside_affix=frozenset(),
    largest=Decimal("5e9"),
    combinations=1000,
    stars=0,
)
# https://docs.aws.amazon.com/sns/latest/dg/sns-subscription-filter-policies.html and
# https://docs.aws.amazon.com/sns/latest/dg/subscription-filter-policy-constraints.html
SNS: Final = Dialect(
    operators=_COMMON | {"cidr", "wildcard"},
    but=frozenset({"prefix", "wildcard"}),
    inside_affix=frozenset(),
    largest=Decimal("1e9"),
    combinations=150,
    stars=3,
)
