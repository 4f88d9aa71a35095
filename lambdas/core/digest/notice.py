"""A notice as its reader sees it: the pipeline's own, a workflow's, an alarm's, or any other text on the topic.

The queue's subscription delivers messages raw, so a body is what was published, without the subject.
https://docs.aws.amazon.com/sns/latest/dg/sns-large-payload-raw-message-delivery.html
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

ALARM: Final = "alarm"
ALARM_OVER: Final = "alarm over"
UNKNOWN: Final = "unknown"
_WORD: Final = 256  # characters of a kind or a dataset
_LINE: Final = 1200  # of a reason, a key (S3's have 1,024 bytes) or a command
_KEYS: Final = ("object", "source_key", "key", "object_id", "message_id", "batch", "replay", "job", "run", "day",
         "check")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Notice:
    """What a mail says of a notice; each field is one line, empty where the notice does not say it.

    ``key`` names what it is about; ``subject`` and ``text`` are those of a mail about this notice alone.
    """

    kind: str
    dataset: str
    reason: str
    key: str
    look: str
    repair: str
    detail: str
    subject: str
    text: str

    @classmethod
    def from_body(cls, body: str) -> Self:
        """Whatever the body is: what is no JSON object with a kind is of the kind `unknown`."""
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):  # no JSON, an endless number, or nested too deep
            found = None
        if isinstance(found, dict) and found.get("AlarmName") and found.get("NewStateValue"):
            return cls._from_alarm(found)
        if isinstance(found, dict) and found.get("kind"):
            return cls._from_notice(found, body)
        first = line(body[:_LINE], _LINE)
        subject = f"{UNKNOWN}: {first}"
        return cls(UNKNOWN, "", "not a notice of the pipeline", first, "", "", "", subject, printable(body))

    @classmethod
    def _from_notice(cls, found: Mapping[str, Any], body: str) -> Self:
        kind, reason = line(found["kind"], _WORD), line(found.get("reason"), _LINE)
        key = next((line(found[name], _LINE) for name in _KEYS if found.get(name)), "")
        return cls(
            kind=kind,
            dataset="" if found.get("dataset") == "*" else line(found.get("dataset"), _WORD),
            reason=reason,
            key=key,
            look=line(found.get("look"), _LINE),
            repair=line(found.get("repair"), _LINE),
            detail=line(found.get("detail"), _LINE),
            subject=f"{kind}: {reason or key}",
            text=printable(body),
        )

    @classmethod
    def _from_alarm(cls, found: Mapping[str, Any]) -> Self:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html"""
        name, state = line(found["AlarmName"], _WORD), line(found["NewStateValue"], _WORD)
        facts = {
            "Alarm": name,
            "State": f"{line(found.get('OldStateValue'), _WORD)} -> {state}",
            "Time": line(found.get("StateChangeTime"), _WORD),
            "Region": line(found.get("Region"), _WORD),
            "Reason": line(found.get("NewStateReason"), _LINE),
            "What to do": line(found.get("AlarmDescription"), _LINE),
        }
        return cls(
            kind=ALARM_OVER if state == "OK" else ALARM,
            dataset="",
            reason=state,
            key=name,
            look="" if state == "OK" else facts["What to do"],
            repair="",
            detail="",
            subject=f'{state}: "{name}" in {facts["Region"]}',
            text="\n".join(f"{fact}: {value}" for fact, value in facts.items()),
        )


def line(value: Any, limit: int) -> str:
    """A value as one line of at most so many characters, plus three dots where it is cut."""
    try:
        text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):  # a number of thousands of digits
        text = "?"
    text = " ".join(printable(text).split())
    return text if len(text) <= limit else f"{text[:limit]}..."


def printable(text: str) -> str:
    """The text with a blank for each character that a mail cannot show; line feeds and tabs stay."""
    return "".join(character if character.isprintable() or character in "\n\t" else " " for character in text)
