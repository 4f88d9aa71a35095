"""The record beside a plan's file: what the plan was made for and from, so that nothing else is deployed with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sluice.build.archive import file_sha256
from sluice.console import fail
from sluice.paths import AWS_DIR, BUILD_DIR, INFRA_DIR
from sluice.terraform.planned import Serial

ENGINE = "engine"
"""In the place of an account's address, for the plan of an engine."""


@dataclass(frozen=True)
class Facts:
    """What a plan wants of the account, for `sluice preflight`."""

    region: str
    allowed_accounts: tuple[str, ...] = ()
    account_concurrency: int = 0
    """Concurrent executions of Lambda that the queues and reservations count on."""
    protected: bool = False
    buckets: Mapping[str, str] = field(default_factory=dict)
    """Names, each with what the plan does: create, delete, or have (it is in the state)."""
    zones: tuple[str, ...] = ()
    boundary: str = ""
    """ARN of the roles' permissions boundary."""
    moved: tuple[str, ...] = ()
    """Functions whose alias the plan points at another version."""


@dataclass(frozen=True)
class Record:
    """`plan_sha256`: of the plan's file. `applicable`: False for a plan without credentials. Hashes are hexadecimal."""

    env: str
    account: str
    region: str
    address: str
    """Where the plan is for: aws, the address of a rehearsal, or engine."""
    revision: str
    artifacts: Mapping[str, str]
    var_file: str
    var_file_sha256: str
    code_sha256: str
    plan_sha256: str
    state: Serial
    facts: Facts
    changes: tuple[tuple[str, str], ...]
    """Action and address."""
    made_at: str
    applicable: bool = True

    @property
    def made_for(self) -> str:
        """The place, as a sentence names it."""
        if self.address == ENGINE:
            return "the local engine"
        place = f"account {self.account}" if self.account else "no account"
        return place if self.address == "aws" else f"{place} at {self.address}"


def plan_file(env: str) -> Path:
    """Where `sluice plan --target aws` stores the plan of an environment."""
    return AWS_DIR / env / "plan.tfplan"


def beside(plan: Path) -> Path:
    """The record's file."""
    return plan.with_suffix(".json")


def save(record: Record, plan: Path) -> None:
    """Writes the record, whole or not at all; without it the plan is not applied."""
    partial = beside(plan).with_suffix(".part")
    partial.touch(mode=0o600)
    partial.write_text(json.dumps(asdict(record), indent=2))
    partial.replace(beside(plan))


def remove(plan: Path) -> None:
    """The record first: a plan alone is not applied."""
    beside(plan).unlink(missing_ok=True)
    plan.unlink(missing_ok=True)


def load(plan: Path, make_plan: str) -> Record:
    """The plan's record. Raises SluiceError (code 2) when there is none or it cannot be read, with the next command."""
    try:
        found = json.loads(beside(plan).read_text())
        state, facts = Serial(**found.pop("state")), dict(found.pop("facts"))
        for name in ("allowed_accounts", "zones", "moved"):
            facts[name] = tuple(facts[name])
        changes = tuple((str(action), str(address)) for action, address in found.pop("changes"))
        record = Record(**found, state=state, facts=Facts(**facts), changes=changes)
    except FileNotFoundError:
        fail(f"there is no plan: `{make_plan}` makes one and shows it")
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        fail(f"{beside(plan)} is no record of a plan: `{make_plan}` makes a new one")
    if not record.applicable:
        fail(f"this plan was made without credentials, so it knows no account and no state: `{make_plan}` with them")
    try:
        whole = file_sha256(plan) == record.plan_sha256
    except OSError:
        whole = False
    if not whole:
        fail(f"{plan} is not the file that its record describes: `{make_plan}` makes a new one")
    return record


def refuse_stale(record: Record, make_plan: str) -> None:
    """Raises SluiceError (code 1) when what the plan was made from is no longer what is here."""
    again = f": plan again (`{make_plan}`)"
    var_file = Path(record.var_file)
    if not var_file.exists() or file_sha256(var_file) != record.var_file_sha256:
        fail(f"the plan is stale, {var_file.name} has changed since{again}", 1)
    now = artifacts()
    changed = sorted(
        name for name in now.keys() | record.artifacts.keys() if now.get(name) != record.artifacts.get(name)
    )
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        fail(f"the plan is stale, {changed[0]}{more} has been built again since{again}", 1)
    if code_sha256() != record.code_sha256:
        fail(f"the plan is stale, the code in infra/ has changed since{again}", 1)


def refuse_other_state(record: Record, now: Serial, make_plan: str) -> None:
    """Raises SluiceError (code 1) when another deployment came between the plan and now."""
    if now != record.state:
        was = f"serial {record.state.serial}" if record.state.lineage else "nothing deployed"
        found = f"serial {now.serial}" if now.lineage else "nothing deployed"
        fail(
            f"the plan is stale, it was made from a state with {was}, and there is {found}: plan again (`{make_plan}`)",
            1,
        )


def facts_of(document: Mapping[str, Any]) -> Facts:
    """From Terraform's own document of a plan."""
    given = {name: entry.get("value") for name, entry in document.get("variables", {}).items()}
    buckets: dict[str, str] = {}
    zones: set[str] = set()
    moved: set[str] = set()
    for kind, planned, actions in _resources(document):
        if kind == "aws_s3_bucket" and planned.get("bucket"):
            only = actions[0] if len(actions) == 1 else ""
            buckets[str(planned["bucket"])] = only if only in ("create", "delete") else "have"
        elif kind == "aws_subnet" and planned.get("availability_zone"):
            zones.add(str(planned["availability_zone"]))
        elif kind == "aws_lambda_alias" and actions == ["update"]:
            moved.add(str(planned["function_name"]))
    return Facts(
        region=str(given.get("region") or "us-east-1"),
        allowed_accounts=tuple(given.get("allowed_account_ids") or ()),
        account_concurrency=int(given.get("account_concurrency") or 0),
        protected=bool(given.get("deletion_protection")),
        buckets=dict(sorted(buckets.items())),
        zones=tuple(sorted(zones)),
        boundary=str(given.get("permissions_boundary_arn") or ""),
        moved=tuple(sorted(moved)),
    )


def _resources(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], list[str]]]:
    for one in document.get("resource_changes", ()):
        change = one["change"]
        yield one["type"], change.get("after") or change.get("before") or {}, change["actions"]


def artifacts(folder: Path = BUILD_DIR) -> dict[str, str]:
    """SHA-256 of everything that was built, by file name."""
    files = (path for path in sorted(folder.glob("*")) if path.suffix in (".zip", ".json", ".py"))
    return {path.name: file_sha256(path) for path in files if not path.name.startswith(("manifest", "tested"))}


def code_sha256(infra: Path = INFRA_DIR) -> str:
    """Of the stack's Terraform code."""
    digest = hashlib.sha256()
    for path in sorted(path for folder in ("stack", "branches", "modules") for path in (infra / folder).rglob("*")):
        made = ".terraform" in path.parts or path.name.endswith(("_override.tf", ".md", ".hcl"))
        if path.is_file() and not made:
            digest.update(f"\0{path.relative_to(infra)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def now() -> str:
    """ISO 8601, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
