"""digest: whatever notices come together, one mail says what they are, and SNS accepts it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from unittest.mock import MagicMock

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from core.digest.mail import KEYS, Mail, compose
from core.digest.notice import Notice
from sluice_pipeline.notices.notices import MESSAGE_BYTES, Notices
from sluice_pipeline.objects.identity import ObjectRef
from tests.support.handlers import Context, loaded, sqs_event

STACK = "sluice-prod"


def failed(number: int = 0, dataset: str = "shipments", reason: str = "unreadable", **more: Any) -> str:
    """The notice of a failed object, as the topic delivers it raw."""
    sns = MagicMock()
    ref = ObjectRef("bronze-b", f"bronze/{dataset}/{number}.jsonl", "v1", "e1", 10)
    Notices(sns, "arn:topic").object_trouble("object.failed", ref, ref.as_origin(), dataset, reason, "NUL bytes")
    body: str = sns.publish.call_args.kwargs["Message"]
    return json.dumps(json.loads(body) | more)


def alarm(name: str, state: str = "ALARM") -> str:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html"""
    change = {"OldStateValue": "OK", "NewStateValue": state, "NewStateReason": "Threshold Crossed"}
    about = {"AlarmName": name, "AlarmDescription": "Look: sluice dlq ls.", "Region": "EU (Ireland)"}
    return json.dumps(about | change)


def keys(mail: Mail) -> list[str]:
    return [line for line in mail.text.splitlines() if line.startswith("  - ")]


def test_a_bad_batch_is_one_mail_with_counts_first_keys_and_commands() -> None:
    bodies = [failed(n) for n in range(412)] + [alarm(f"sluice-prod-{name}") for name in "abc"]
    mail = compose(STACK, bodies)
    assert mail.subject == "sluice-prod: 412 objects failed, 3 alarms"
    assert mail.text.splitlines()[:3] == [
        "sluice-prod: 415 notices in 2 groups",
        "",
        "412 x object.failed, dataset shipments: unreadable",
    ]
    assert len(keys(mail)) == KEYS + 3
    assert "  - s3://bronze-b/bronze/shipments/0.jsonl   sluice runs " in keys(mail)[0]
    for line in (
        "  ... and 392 more",
        "  All of them: sluice runs --state failed --dataset shipments --limit 412",
        "  Detail of the first: NUL bytes",
        "3 x alarm: ALARM",
        "  - sluice-prod-a   Look: sluice dlq ls.",
        "  All of them: sluice status",
    ):
        assert line in mail.text.splitlines()


def test_groups_are_kinds_datasets_and_reasons() -> None:
    bodies = [failed(1), failed(2, reason="too_large"), failed(3, "returns"), failed(4, "returns"), alarm("a", "OK")]
    heads = [part.splitlines()[0] for part in compose(STACK, bodies).text.split("\n\n")[1:]]
    assert heads == [
        "2 x object.failed, dataset returns: unreadable",
        "1 x object.failed, dataset shipments: unreadable",
        "1 x object.failed, dataset shipments: too_large",
        "1 x alarm over: OK",
    ]


def test_a_single_notice_is_mailed_as_the_topic_would_have() -> None:
    body = failed()
    assert compose(STACK, [body]) == Mail("object.failed: unreadable", body)
    assert compose(STACK, [body, body]) == Mail("object.failed: unreadable", body), "delivered twice"
    found = compose(STACK, [alarm("sluice-prod-load-errors")])
    assert found.subject == 'ALARM: "sluice-prod-load-errors" in EU (Ireland)'
    assert "Reason: Threshold Crossed" in found.text.splitlines()
    assert "What to do: Look: sluice dlq ls." in found.text.splitlines()


def test_a_thousand_different_reasons_fit_and_none_is_unaccounted() -> None:
    bodies = [failed(n, reason=f"{n}: {'reason ' * 150}") for n in range(1000)]
    mail = compose(STACK, bodies)
    assert len(mail.text.encode()) <= MESSAGE_BYTES
    [rest] = [line for line in mail.text.splitlines() if line.startswith("and ")]
    left = int(rest.split()[1])
    assert rest.startswith(f"and {left} more groups of {left} notices")
    assert mail.text.count("1 x object.failed") == 1000 - left > 100


@pytest.mark.parametrize(
    "body",
    ["", "\n", "no JSON", "[]", "{}", "null", "[" * 100_000, "9" * 10_000, '{"kind": ' + "9" * 10_000 + "}",
     "\x00\x1b[2J",
     '{"kind": "\\ud800", "reason": "\\ud800\\r\\nBcc: all"}', '{"kind": ["object.failed"], "dataset": {"a": 1}}',
     '{"AlarmName": 1, "NewStateValue": []}', "\u00e9" * 300_000],
)  # fmt: skip
def test_what_no_notice_should_be_is_mailed_alone_and_among_others(body: str) -> None:
    accepted(compose(STACK, [body]))
    mail = compose(STACK, [failed(1), body, failed(2)])
    accepted(mail)
    assert mail.text.startswith("sluice-prod: 3 notices in 2 groups\n\n2 x object.failed")


def test_a_hostile_dataset_is_quoted_in_the_command_and_forges_no_line() -> None:
    name = "a; rm -rf /\n999 x object.failed"
    mail = compose(STACK, [failed(n, name) for n in range(2)])
    quoted = "'a; rm -rf / 999 x object.failed'"
    assert f"  All of them: sluice runs --state failed --dataset {quoted} --limit 2" in mail.text
    assert not any(line.startswith("999") for line in mail.text.splitlines())


def accepted(mail: Mail) -> None:
    """https://docs.aws.amazon.com/sns/latest/api/API_Publish.html"""
    assert 0 < len(mail.subject) < 100
    assert mail.subject.isascii()
    assert mail.subject.isprintable()
    assert mail.subject[0] != " "
    assert mail.text.strip()
    assert len(mail.text.encode()) <= MESSAGE_BYTES


VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.lists(st.text(), max_size=3))
FIELDS = ("kind", "dataset", "reason", "object", "look", "repair", "detail", "AlarmName", "NewStateValue")
BODIES = st.one_of(
    st.text(), st.dictionaries(st.sampled_from(FIELDS), VALUES).map(json.dumps), st.integers(0, 50).map(failed)
)


@given(st.lists(BODIES, min_size=1, max_size=10), st.integers(1, 5_000))
def test_sns_accepts_the_mail_and_each_notice_is_counted(bodies: Sequence[str], times: int) -> None:
    """``times``: how often the texts are repeated in themselves, so that a batch is up to some megabytes."""
    mail = compose(STACK, [body[:50] * times if not body.startswith("{") else body for body in bodies])
    accepted(mail)
    different = len({body[:50] * times if not body.startswith("{") else body for body in bodies})
    if different > 1:
        assert mail.text.startswith(f"{STACK}: {different} notices in ")
        counted = [int(part.split(" x ")[0]) for part in mail.text.split("\n\n")[1:] if " x " in part.splitlines()[0]]
        rest = [int(part.split()[5]) for part in mail.text.split("\n\n")[1:] if part.startswith("and ")]
        assert sum(counted) + sum(rest) == different


@given(BODIES)
def test_a_notice_has_no_field_of_two_lines(body: str) -> None:
    notice = Notice.from_body(body)
    fields = (notice.kind, notice.dataset, notice.reason, notice.key, notice.look, notice.repair, notice.detail)
    assert all(field.isprintable() for field in fields)
    assert notice.kind


def test_a_batch_is_published_once_and_a_failure_returns_all_of_it() -> None:
    sns = MagicMock()
    with loaded("core.digest.handler", sns=sns) as module:
        event = sqs_event(*(failed(n) for n in range(3)))
        assert module.handler(event, Context()) == {"batchItemFailures": []}
        [call] = sns.publish.call_args_list
        assert call.kwargs["Subject"].endswith(": 3 objects failed")
        assert "3 x object.failed" in call.kwargs["Message"]
        sns.publish.side_effect = ClientError({"Error": {"Code": "Throttled"}}, "Publish")
        with pytest.raises(ClientError):
            module.handler(event, Context())
