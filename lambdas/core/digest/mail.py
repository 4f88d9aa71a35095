"""One mail about the notices that came together: grouped, with counts, and never too long to be sent.

https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
"""

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from core.digest.notice import ALARM, ALARM_OVER, UNKNOWN, Notice
from sluice_pipeline.ledger.items import State
from sluice_pipeline.notices.notices import DEAD_LETTER, MESSAGE_BYTES, QUARANTINE_THRESHOLD, SCHEMA_DRIFT, subject_line

KEYS: Final = 20
"""Of a group, which the mail names."""
_FEWER_KEYS: Final = (KEYS, 5, 1)
_SPARE_BYTES: Final = 2000  # for the lines about what is left out
_PART: Final = 40  # characters of one count in a subject
_SUBJECT: Final = 99  # SNS wants less than 100
_WORDS: Final = {  # one, several
    ALARM: ("alarm", "alarms"),
    ALARM_OVER: ("alarm over", "alarms over"),
    UNKNOWN: ("unknown notice", "unknown notices"),
    f"object.{State.FAILED}": ("object failed", "objects failed"),
    f"object.{State.MISSING}": ("object missing", "objects missing"),
    QUARANTINE_THRESHOLD: ("object over the quarantine threshold", "objects over the quarantine threshold"),
    DEAD_LETTER: ("dead-letter message", "dead-letter messages"),
    SCHEMA_DRIFT: ("schema drift", "schema drifts"),
}


@dataclass(frozen=True, slots=True)
class Mail:
    """Subject: one line of printable ASCII, less than 100 characters. Text: at most MESSAGE_BYTES in UTF-8."""

    subject: str
    text: str


def compose(stack: str, bodies: Iterable[str]) -> Mail:
    """The mail about these notices, one at least. A body that came twice counts once; whatever it is, it counts.

    A single notice makes the mail that the topic itself would send of it. ``stack`` begins the subject of all others.
    """
    notices = [Notice.from_body(body) for body in dict.fromkeys(bodies)]
    if len(notices) == 1:
        return Mail(subject_line(notices[0].subject, _SUBJECT), _cut(notices[0].text, MESSAGE_BYTES))
    return Mail(subject_line(f"{stack}: {_counted(notices)}", _SUBJECT, "..."), _text(stack, notices))


def _counted(notices: Sequence[Notice]) -> str:
    """``412 objects failed, 3 alarms``, the kinds with most notices first."""
    counts = Counter(notice.kind for notice in notices)
    return ", ".join(_count(kind, number) for kind, number in counts.most_common())


def _count(kind: str, number: int) -> str:
    one, several = _WORDS.get(kind, (kind, kind))
    return f"{number} {one if number == 1 else several}"[:_PART]


def _text(stack: str, notices: Sequence[Notice]) -> str:
    groups = _grouped(notices)
    head = f"{stack}: {len(notices)} notices in {len(groups)} groups"
    budget = MESSAGE_BYTES - _SPARE_BYTES - _size(head)
    for keys in _FEWER_KEYS:
        parts = [_group(group, keys) for group in groups]
        if sum(map(_size, parts)) <= budget:
            return "\n\n".join([head, *parts])
    shown: list[str] = []
    for part in parts:
        budget -= _size(part)
        if budget < 0:
            break
        shown.append(part)
    left = groups[len(shown) :]
    rest = f"and {len(left)} more groups of {sum(map(len, left))} notices; `sluice status` shows what is wrong now"
    return "\n\n".join([head, *shown, rest])


def _grouped(notices: Iterable[Notice]) -> list[list[Notice]]:
    """By kind, dataset and reason, the largest groups first, and alarms before others of a size."""
    groups: dict[tuple[str, str, str], list[Notice]] = {}
    for notice in notices:
        groups.setdefault((notice.kind, notice.dataset, notice.reason), []).append(notice)
    return sorted(groups.values(), key=lambda group: (-len(group), group[0].kind != ALARM))


def _group(group: Sequence[Notice], keys: int) -> str:
    """One group: what, how often, the first keys with the command that shows more of each, and the command for all."""
    first = group[0]
    about = f", dataset {first.dataset}" if first.dataset else ""
    lines = [f"{len(group)} x {first.kind}{about}: {first.reason}"]
    for notice in group[:keys]:
        lines.append("  - " + ("   ".join(filter(None, (notice.key, notice.look))) or "(names nothing)"))
    if len(group) > keys:
        lines.append(f"  ... and {len(group) - keys} more")
    facts = {
        "All of them": _all(first, len(group)),
        "Detail of the first": first.detail,
        "Repair of the first": first.repair,
    }
    lines += [f"  {name}: {value}" for name, value in facts.items() if value]
    return "\n".join(lines)


def _all(notice: Notice, count: int) -> str:
    """The command that lists what a group is about; empty where each has a command of its own only."""
    states = {f"object.{state}": state for state in State} | {f"quality.{State.WITHHELD}": State.WITHHELD}
    dataset = f" --dataset {shlex.quote(notice.dataset)}" if notice.dataset else ""
    if notice.kind in states:
        return f"sluice runs --state {states[notice.kind]}{dataset} --limit {count}"
    if notice.kind == QUARANTINE_THRESHOLD:
        return f"sluice quarantine ls{dataset} --limit {count}"
    if notice.kind == DEAD_LETTER or "sluice dlq redrive" in notice.repair:
        return "sluice dlq ls"
    return "sluice status" if notice.kind in (ALARM, ALARM_OVER) else ""


def _size(text: str) -> int:
    """Bytes of a part with the empty line after it."""
    return len(text.encode()) + 2


def _cut(text: str, limit: int) -> str:
    """At most so many bytes of UTF-8; SNS refuses an empty message."""
    if len(text.encode()) > limit:
        text = text.encode()[: limit - 3].decode(errors="ignore") + "..."
    return text if text.strip() else "(an empty notice)"
