"""EventBridge's patterns: what a rule matches, and which patterns are refused.

https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html (InvalidEventPatternException)
https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_TestEventPattern.html

LocalStack stores any text as a rule's pattern, and matches the fields of an array's objects one by one.
Replaced: `matches_event` of the events provider; `create_archive_service` and `update_archive` check first.
"""

import logging
from typing import Any

from localstack.aws.api.events import InvalidEventPatternException
from localstack.services.events import provider
from localstack.services.events.provider import EventsProvider

from sluice_ext import patterns
from sluice_ext.patching import replace

LOG = logging.getLogger(__name__)


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""

    def create_archive(self: Any, *args: Any) -> Any:
        check(args[5])
        return original_create(self, *args)

    def update_archive(self: Any, context: Any, archive_name: str, *args: Any, **kwargs: Any) -> Any:
        check(kwargs.get("event_pattern"))
        return original_update(self, context, archive_name, *args, **kwargs)

    replace(provider, "matches_event", matches_event, expect="(event_pattern, event)")
    made_of = "(self, archive_name, region, account_id, event_source_arn, description, event_pattern, retention_days)"
    original_create = replace(EventsProvider, "create_archive_service", create_archive, expect=made_of)
    changed = "(self, context, archive_name, description, event_pattern, retention_days, kms_key_identifier, **kwargs)"
    original_update = replace(EventsProvider, "update_archive", update_archive, expect=changed)


def check(pattern: str | None) -> None:
    """Raises InvalidEventPatternException for what is not a pattern; none at all is none."""
    if pattern:
        _compiled(pattern)


def matches_event(event_pattern: str | None, event: Any) -> bool:
    """Whether a rule's pattern matches: an event of TestEventPattern (text) or one that is delivered (a document)."""
    if not event_pattern:
        return True
    if isinstance(event, str):
        return patterns.matches(_compiled(event_pattern), patterns.loads(event))
    try:
        return patterns.matches(_compiled(event_pattern), event)
    except InvalidEventPatternException as error:  # stored by a version that stored anything
        LOG.warning("A rule matches nothing: %s", error)
        return False


def _compiled(pattern: str) -> Any:
    try:
        return patterns.compile_pattern(pattern)
    except patterns.InvalidPattern as error:
        raise InvalidEventPatternException(f"Event pattern is not valid. Reason: {error}") from None
