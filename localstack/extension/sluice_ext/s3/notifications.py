"""What S3's event notifications say, as AWS documents it, and which configurations of them it takes.

Replaced in LocalStack: the content of messages (keys encoded as paths and in events of EventBridge, one sequencer for
all changes, local time), filters (they compared other encodings) and the check of configurations (it took overlapping
ones, unknown events and two rules of one kind).

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-filtering.html
"""

import json
from datetime import UTC, datetime
from typing import Any

from localstack.aws.api.s3 import Event, InvalidArgument
from localstack.services.s3 import notifications
from localstack.services.s3.exceptions import MalformedXML

from sluice_ext.patching import replace
from sluice_ext.s3.event_keys import encoded, overlapping, passes
from sluice_ext.s3.sequence import SEQUENCE

_KINDS = ("QueueConfigurations", "TopicConfigurations", "LambdaFunctionConfigurations")
_EVENTS = {event.value for event in Event}
# Why an object was created or deleted, in EventBridge's words.
_REASONS = {"Put": "PutObject", "Post": "POST Object", "Copy": "CopyObject"}


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""
    _note_changes()
    _write_records()
    _write_bus_events()
    notifier = notifications.BaseNotifier
    replace(notifier, "should_notify", staticmethod(_should_notify), expect="(ctx, config)")
    _check_configurations()


def _note_changes() -> None:
    """Put what the message needs into its context while the thread that made the change still knows it."""
    context = notifications.S3EventNotificationContext
    original = context.from_request_context.__func__

    def from_request_context(cls: Any, request_context: Any, s3_bucket: Any, s3_object: Any) -> Any:
        made = original(cls, request_context, s3_bucket, s3_object)
        made.key_name = s3_object.key
        made.event_time = datetime.now(UTC)
        made.sluice_sequencer = SEQUENCE.latest()
        made.sluice_address = request_context.request.remote_addr or "127.0.0.1"
        return made

    replace(
        context,
        "from_request_context",
        classmethod(from_request_context),
        expect="(request_context, s3_bucket, s3_object)",
    )


def _write_records() -> None:
    notifier = notifications.BaseNotifier

    def payload(ctx: Any, config_id: str) -> Any:
        message = original(ctx, config_id)
        record = message["Records"][0]
        changed = record["s3"]["object"]
        changed["key"] = encoded(ctx.key_name)
        if "sequencer" in changed:
            changed["sequencer"] = ctx.sluice_sequencer
        record["requestParameters"]["sourceIPAddress"] = ctx.sluice_address
        record["responseElements"]["x-amz-request-id"] = ctx.request_id
        return message

    original = replace(notifier, "_get_event_payload", staticmethod(payload), expect="(ctx, config_id)")


def _write_bus_events() -> None:
    notifier = notifications.EventBridgeNotifier

    def payload(ctx: Any, config_id: str | None = None) -> Any:
        entry = original(ctx, config_id)
        detail = json.loads(entry["Detail"])
        if "sequencer" in detail["object"]:
            detail["object"]["sequencer"] = ctx.sluice_sequencer
        detail["requester"] = ctx.account_id
        if "source-ip-address" in detail:
            detail["source-ip-address"] = ctx.sluice_address
        if entry["DetailType"] == "Object Created":
            action = ctx.event_type.rpartition(":")[2]
            detail["reason"] = _REASONS.get(action, action)
        entry["Detail"] = json.dumps(detail)
        return entry

    original = replace(notifier, "_get_event_payload", staticmethod(payload), expect="(ctx, config_id)")


def _should_notify(ctx: Any, config: Any) -> bool:
    rules = ((config.get("Filter") or {}).get("Key") or {}).get("FilterRules") or []
    return notifications._matching_event(config["Events"], ctx.event_type) and passes(rules, ctx.key_name)


def _check_configurations() -> None:
    def verify(
        self: Any,
        notification_configurations: Any,
        skip_destination_validation: Any,
        context: Any,
        bucket_name: str,
    ) -> None:
        everything = [one for kind in _KINDS for one in notification_configurations.get(kind) or []]
        for one in everything:
            _check(one)
        if overlapping(everything):
            raise InvalidArgument(
                "Configurations overlap. Configurations on the same bucket cannot share a common event type."
            )
        original(self, notification_configurations, skip_destination_validation, context, bucket_name)

    original = replace(
        notifications.NotificationDispatcher,
        "verify_configuration",
        verify,
        expect="(self, notification_configurations, skip_destination_validation, context, bucket_name)",
    )


def _check(configuration: dict[str, Any]) -> None:
    """Raises InvalidArgument for events that S3 does not know, and for two prefixes or suffixes."""
    for event in configuration.get("Events") or []:
        if event not in _EVENTS:
            raise MalformedXML
    rules = ((configuration.get("Filter") or {}).get("Key") or {}).get("FilterRules") or []
    names = [rule.get("Name", "").lower() for rule in rules]
    for name in ("prefix", "suffix"):
        if names.count(name) > 1:
            raise InvalidArgument(
                f"Cannot specify more than one {name} rule in a filter.",
                ArgumentName="FilterRule.Name",
                ArgumentValue=name,
            )
