"""Filter policies of subscriptions.

https://docs.aws.amazon.com/sns/latest/dg/sns-subscription-filter-policies.html
https://docs.aws.amazon.com/sns/latest/dg/subscription-filter-policy-constraints.html

LocalStack compares attributes of numbers as texts, raises for a prefix on a number, and refuses newer operators.
Replaced: `PublishDispatcher._should_publish`, and the rules of `FilterPolicyValidator`.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

from localstack.aws.api.sns import InvalidParameterException
from localstack.services.sns.filter import FilterPolicyValidator
from localstack.services.sns.publisher import PublishDispatcher

from sluice_ext import patterns
from sluice_ext.patching import replace
from sluice_ext.patterns.compiling import canonical
from sluice_ext.patterns.values import Number

LOG = logging.getLogger(__name__)
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*")
_MAX_COMPLEXITY = 100


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""

    def should_publish(self: Any, policies: Any, message: Any, subscriber: Any) -> bool:
        if not original_publish(self, {}, message, subscriber):
            return False
        if not policies.get(subscriber["SubscriptionArn"]):
            return True
        try:
            policy = patterns.compile_pattern(subscriber["FilterPolicy"], patterns.SNS)
        except patterns.InvalidPattern as error:  # stored by a version that stored anything
            LOG.warning("Subscription %s gets nothing: %s", subscriber["SubscriptionArn"], error)
            return False
        if subscriber.get("FilterPolicyScope") == "MessageBody":
            return patterns.matches(policy, _body(message.message_content(subscriber["Protocol"])))
        return patterns.matches(policy, attributes(message.message_attributes))

    def validate(self: Any, policy: Any) -> None:
        reason = None if isinstance(policy, dict) else "Filter is not an object"
        if reason is None:
            original_validate(self, policy)
            reason = refusal(policy)
        if reason:
            raise InvalidParameterException(f"{self.error_prefix}FilterPolicy: {reason}")

    signature = "(self, subscription_filter_policy, message_ctx, subscriber)"
    original_publish = replace(PublishDispatcher, "_should_publish", should_publish, expect=signature)
    original_validate = replace(
        FilterPolicyValidator, "validate_filter_policy", validate, expect="(self, filter_policy)"
    )
    # The values are checked by `refusal`; the number of keys and of combinations stays LocalStack's.
    replace(FilterPolicyValidator, "_validate_rule", lambda _self, _rule: None, expect="(self, rule)")


def _body(text: str) -> Any:
    """The message's document; filters of the body match nothing that is not JSON."""
    try:
        return patterns.loads(text)
    except (ValueError, RecursionError):
        return None


def attributes(given: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The attributes that filters see; those of type Binary are ignored."""
    seen: dict[str, Any] = {}
    for name, attribute in (given or {}).items():
        kind, text = attribute.get("DataType") or attribute.get("Type"), attribute.get("StringValue")
        text = attribute.get("Value") if text is None else text
        if not isinstance(kind, str) or not isinstance(text, str) or kind.startswith("Binary"):
            continue
        if kind in ("String.Array", "Number.Array"):
            listed = _body(text)
            if isinstance(listed, list):
                seen[name] = listed
        elif kind.startswith("Number") and (number := _NUMBER.fullmatch(text)):
            seen[name] = Number(number[1])
        else:
            seen[name] = text
    return seen


def refusal(policy: Mapping[str, Any]) -> str | None:
    """Why AWS refuses the policy's values, or None."""
    try:
        patterns.compile_pattern(canonical(policy), patterns.SNS)
    except patterns.InvalidPattern as error:
        return str(error)
    if sum(sum(points) * len(points) for points in _wildcards(policy)) > _MAX_COMPLEXITY:
        return "Filter policy is too complex"
    return None


def _wildcards(policy: Any) -> Iterator[list[int]]:
    """For each field with wildcards their points: one for a pattern with one star, three for each star of several."""
    if isinstance(policy, list) and (texts := [text for one in policy for text in _texts(one)]):
        stars = [len(re.sub(r"\\.", "", text).split("*")) - 1 for text in texts]
        yield [count if count < 2 else 3 * count for count in stars]
    below = policy.values() if isinstance(policy, dict) else policy if isinstance(policy, list) else ()
    for one in below:
        if isinstance(one, dict | list):
            yield from _wildcards(one)


def _texts(condition: Any) -> list[str]:
    if not isinstance(condition, dict):
        return []
    found = condition.get("wildcard", [])
    inner = condition.get("anything-but")
    if isinstance(inner, dict):
        found = inner.get("wildcard", [])
    return [found] if isinstance(found, str) else list(found)
