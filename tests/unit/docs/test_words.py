"""The project's words: what docs/glossary.md replaced is in no code, no page and no message.

A pattern is a regular expression for one line of a tracked text file. It has word boundaries that also end at an
underscore, so that it finds names (``take_letters``) as well as sentences. CHANGELOG.md may speak of old names.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NOT_READ = ("tests/unit/docs/test_words.py", "CHANGELOG.md")


def word(expression: str) -> str:
    """The expression as a whole word, in any case; an underscore or a digit is the end of a word."""
    return rf"(?i:(?<![a-z])(?:{expression})(?![a-z]))"


# pattern -> what is said instead
GLOSSARY = {
    # A dead-letter queue and the kind `dead.letter` are AWS's and the notices' terms; "letters, digits" is an alphabet.
    word(r"dead letters?"): "dead-letter message",
    r"(?i:(?<!dead[-._ ])(?<!small )(?<!digit and )(?<!with a ))"
    + f"(?:{word('letters?')})(?!-)(?!,? (?:and |or )?digits?)": "message, dead-letter message",
    word(
        r"take_in|taken_in|(?:take|takes|taken|taking|took) (?:(?:it|them|one|this|that|these) )?in(?= again|[.,;:)]|$)"
    )
    + "|"
    + word(r"(?:take|takes|taken|taking|took) (?:it|them|objects?|files?|events?|this (?:object|one)) in")
    + "|"
    + word(r"(?:be|is|are|was|were|not) taken in"): "ingest, reprocess",
    word(r"mend(?:s|ed|ing)?"): "fix",
    word(r"told(?! apart)|untold") + r"|\bTell[A-Z]\w*": "notified; NotifySuccess, NotifyFailure",
    word(r"hears? (?:of|the|about|what)|heard (?:of|about)"): "subscribes to",
    word(r"refused[ _]rows?|rows?(?: (?:that )?(?:were|was|are|is))? refused"): "rejected rows",
    word(r"hopeless"): "permanent error",
    word(r"what may pass|that may pass|may yet pass"): "transient error",
    word(r"(?:give|gives|gave|given|giving)(?:[ _-](?:it|them|this|that|an object))?[ _-]up"): "retries exhausted",
    word(r"(?:put|puts|putting)(?: \w+){0,3} aside"): "moved to the dead-letter queue; quarantined",
    word(r"cuts?[ _-]short"): "aborted, timed out",
    r'(?:"|Next *= *"|^\s*)Even(?:"|\s*=\s*\{)': "IsReconciled",
    word(r"calm(?:er|ly)?"): "baseline run",
    word(r"twins?"): "copy",
    word(r"anew"): "rewritten, again",
    word(r"least_rows"): "min_rows",
    r"\b(?:MOST_[A-Z]+|[A-Z]+_MOST)\b|\b(?:most|least) ?(?:=(?!=)|: (?:int|float))": "max_receives, maximum, minimum",
    word(r"unplanned"): "missing_from_ledger",
    r"\bconcerns\b": "applies_to",
    r"\bclass Sorted\b|(?<![\w.])Sorted(?=\(|\[|\b[^ ])(?!:)": "PartitionedRows",
    word(r"surely_bad|surely_refused"): "find_definitely_bad",
    r"\bdef (?:told|broken)\((?!pipe)": "handle_api_error, handle_unexpected",
    word(r"keeps"): "stores, retains",
    rf"(?i:(?<!release )){word('notes')}": "records",
    word(r"(?:lie|lies|lay|lying) (?:in|under|below|beside|on|outside|there|as|at|anywhere|here|where)"): "is in",
    word(r"nobody|whoever|somebody"): "the caller, another worker, the operator",
    word(r"(?:embedded|not covered), for"): "embedded: no Docker daemon ...",
}


@dataclass(frozen=True)
class Allowed:
    """A place where an old word stays: lines of the files at ``path`` (a glob) that hold ``text``."""

    path: str
    text: str
    reason: str


# Persisted or public names only. An entry that allows nothing fails, so the list cannot outlive its reasons.
ALLOWED: tuple[Allowed, ...] = (
    Allowed(
        "docs/operations.md", "(until 0.1: `gave_up`)", "ledgers of 0.1 have this reason, and a reader looks it up"
    ),
    Allowed("lambdas/shared/sluice_pipeline/objects/failures.py", '"gave_up" in ledgers', "the same"),
    Allowed(
        "lambdas/shared/sluice_pipeline/catalog/checks.py", '{"least_rows": "min_rows"}', "YAML of 0.1 is still read"
    ),
    Allowed(
        "infra/stack/branch_observability.tf", "quarantine_least_rows", "tfvars of 0.1 are refused with the new name"
    ),
    Allowed("infra/tests/stack.tftest.hcl", "quarantine_least_rows", "the test of that"),
    Allowed("infra/stack/moved.tf", "from = ", "addresses in the state of 0.1"),
    Allowed(
        "infra/modules/workflow/main.tf", "-cut-short", "the rule's name on AWS: another name would replace the rule"
    ),
    Allowed("infra/branches/checkins/workflow.tf", '"cut-short"', "input that the rule of 0.1 sends to either version"),
    Allowed("lambdas/checkins/steps/handler.py", '"cut-short"', "the same input, in the function"),
    Allowed(
        "infra/modules/database/network.tf", "nobody", "a security group with another description is another group"
    ),
    Allowed("lambdas/warehouse/migrate/migrations/0003.canonical.sql", "told_at", "a column: migrations do not change"),
    Allowed("lambdas/warehouse/entities/totals.py", "told_at", "the same column"),
    Allowed("lambdas/feedback/*.py", "told_at", "an attribute of stored items"),
    Allowed("lambdas/feedback/*.py", "told_by", "an attribute of stored items"),
    Allowed("sluice/branches/feedback/reader.py", "told_at", "the same attribute, as the host reads it"),
    Allowed("sluice/branches/feedback/reader.py", '"not_told"', "a field of JSON output that scripts of 0.1 read"),
    Allowed("tests/e2e/feedback/*.py", "told_at", "the test of that attribute"),
    Allowed("tests/e2e/warehouse/test_control_totals.py", "told_at", "the column of control.totals"),
    Allowed("sluice/commands/dlq.py", "letters", "a field of JSON output that scripts of 0.1 read"),
    Allowed("tests/e2e/core/test_operations.py", '"letters"', "the test of that field"),
    Allowed("localstack/extension/sluice_ext/postgres.py", "ascii_letters", "Python's name of an alphabet"),
    Allowed("localstack/extension/sluice_ext/sqs/rules.py", "Dead letter target does not exist", "AWS's message"),
    Allowed("tests/contract/core/test_sqs_rules.py", "Dead letter target does not exist", "AWS's message"),
    Allowed("tests/unit/core/test_replay.py", '"gave_up"', "an item of a ledger of 0.1"),
    Allowed("tests/unit/checkins/test_steps_handler.py", '"cut-short"', "the input that the rule sends"),
    Allowed("tests/unit/core/test_dataset_schema.py", '"least_rows"', "YAML of 0.1 is refused by its schema"),
    Allowed("lambdas/warehouse/migrate/migrations/0003.canonical.sql", "nobody", "migrations do not change"),
    Allowed("sluice/engine/embedded/postgres.py", "nobody", "the operating system's unprivileged user"),
)


@cache
def lines() -> list[tuple[str, int, str]]:
    """Path, number and text of every line of every tracked text file."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout: which files are the project's is not known")
    found = []
    for name in listed.stdout.decode().split("\0"):
        if not name or name in NOT_READ or not (ROOT / name).is_file():
            continue
        try:
            text = (ROOT / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a zip
        found += [(name, number, line) for number, line in enumerate(text.splitlines(), 1)]
    return found


def allowed(path: str, line: str) -> list[Allowed]:
    return [one for one in ALLOWED if one.text in line and Path(path).full_match(one.path)]


@pytest.mark.parametrize("pattern", GLOSSARY, ids=[instead.replace(" ", "_") for instead in GLOSSARY.values()])
def test_an_old_word_is_in_no_file(pattern: str) -> None:
    find = re.compile(pattern)
    found = [
        f"{path}:{number}: {line.strip()[:140]}"
        for path, number, line in lines()
        if find.search(line) and not allowed(path, line)
    ]
    assert found == [], f"say {GLOSSARY[pattern]!r} instead:\n" + "\n".join(found)


@pytest.mark.parametrize("entry", ALLOWED, ids=lambda entry: entry.text)
def test_an_exception_is_needed(entry: Allowed) -> None:
    patterns = [re.compile(pattern) for pattern in GLOSSARY]
    used = [
        line
        for path, _, line in lines()
        if entry.text in line and entry in allowed(path, line) and any(find.search(line) for find in patterns)
    ]
    assert used, f"no line needs it any more: {entry.reason}"
