"""Plans in files: made with a record beside them, checked against where they are to be applied, and applied."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sluice.build import source
from sluice.build.archive import file_sha256
from sluice.console import SluiceError, fail
from sluice.engine.instance import Instance
from sluice.paths import STACK_DIR
from sluice.promotion import adoption, lock, preflight, record
from sluice.promotion.lock import Lock
from sluice.promotion.preflight import Question
from sluice.promotion.record import ENGINE, Record
from sluice.terraform import Account, Applied, Change, Target, api, identity, planned, variables
from sluice.terraform.aws import rescue
from sluice.terraform.planned import Stored
from sluice.terraform.runner import Cause
from sluice.terraform.settings import Workspace
from sluice.terraform.variables import Known

Report = Callable[[str], None]
# What the services answer to the second creation of a name.
_THERE = re.compile(r"[Aa]lready ?[Ee]xist|AlreadyOwnedByYou|InUseException|ConflictException")


def make(
    target: Target,
    env: str,
    var_file: Path,
    extra: Mapping[str, Any],
    out: Path,
    report: Report,
    *,
    adopt: bool = False,
) -> tuple[Record, Stored]:
    """Plans into `out`, with its record. An account without credentials is not contacted; the plan is then one of a
    first deployment, and not applicable. adopt: import what an account has of it and no state has.

    Raises SluiceError: code 2 when variables are wrong, 1 when the account is not the right one, or Terraform fails.
    """
    record.remove(out)
    account, address, offline = "", ENGINE, False
    known = variables.known(var_file, extra, STACK_DIR)
    if isinstance(target, Account):
        identity.refuse_engine()
        address, offline = identity.address(), not identity.have_credentials()
        if not offline:
            asked = preflight.question(env, known, preflight.early_facts(known))
            preflight.require(asked, preflight.EARLY)
            account, target = asked.account, Account(env, known)
        elif known.env != env:
            fail(f"environment: the tfvars file is of {known.env or 'no environment'}, --env says {env}", 1)
    with planned.opened(target, report, offline=offline) as space:
        stored = planned.make(space, var_file, extra, out, report)
        if adopt and account:

            def again() -> Stored:
                return planned.make(space, var_file, extra, out, report)

            stored = _adopted(space, stored, asked, again, out, report)
        document = planned.text(space, out)
    written = Record(
        env=env, account=account, region=known.region, address=address, revision=source.revision(),
        artifacts=record.artifacts(), var_file=str(var_file.resolve()), var_file_sha256=file_sha256(var_file),
        code_sha256=record.code_sha256(), plan_sha256=file_sha256(out), state=stored.made_from,
        facts=record.facts_of(stored.document), changes=tuple((one.action, one.address) for one in stored.changes),
        made_at=record.now(), applicable=not offline,
    )  # fmt: skip
    shown = out.with_suffix(".txt")
    shown.touch(mode=0o600)
    shown.write_text(document)
    record.save(written, out)
    return written, stored


def _adopted(
    space: Workspace, stored: Stored, asked: Question, again: Callable[[], Stored], out: Path, report: Report
) -> Stored:
    """The plan with imports of what the account has. Planned `again` as long as that makes more names known: what is
    imported has an ARN, which others are asked by."""
    region = asked.known.region
    place = adoption.Place(identity.partition_of(region), region, asked.account)
    those: dict[str, adoption.Found] = {}
    file = space.stack / adoption.FILE
    try:
        while more := [one for one in adoption.found(stored.document, place, asked.clients)
                       if one.address not in those]:  # fmt: skip
            those |= {one.address: one for one in more}
            file.write_text(adoption.blocks(list(those.values())))
            stored = again()
            try:
                adoption.require_ours(stored.document, asked.account)
            except SluiceError:
                out.unlink()  # it has every value, and is not to be applied
                raise
    finally:
        file.unlink(missing_ok=True)
    report(f"adopt   {len(those) or 'no'} resources that are there and in no state are imported by this plan")
    for arn in adoption.left(stored.document, asked.known, asked.clients):
        report(f"adopt   {arn} has this stack's tags and is in no state: remove it by hand, it is made again")
    return stored


def ready(target: Target, env: str, plan: Path, make_plan: str, report: Report) -> Record:
    """The record of a plan that may be applied here and now. Asks AWS, and changes nothing.

    Raises SluiceError, one line: code 2 when there is no such plan, or it is for another place; 1 when it is stale or
    the account is not ready for it.
    """
    found = record.load(plan, make_plan)
    here = ENGINE if isinstance(target, Instance) else identity.address()
    if here != found.address:
        place = "the local engine" if here == ENGINE else "an account" if here == "aws" else f"an account at {here}"
        fail(f"this plan is for {found.made_for}, and cannot be applied to {place}: `{make_plan}`")
    if found.env != env:
        fail(f"this plan is for the environment {found.env}, and --env says {env}: `{make_plan}`")
    record.refuse_stale(found, make_plan)
    if isinstance(target, Account):
        asked = preflight.question(env, known_of(found), found.facts)
        if asked.account != found.account:
            fail(f"this plan is for account {found.account}, and the credentials are of {asked.account}: `{make_plan}`")
        preflight.require(asked, preflight.EARLY)
        # A deployment in between has made what the plan still wants to make: that it is stale is the answer.
        with planned.opened(Account(env, known_of(found)), report) as space:
            record.refuse_other_state(found, planned.serial(space), make_plan)
        preflight.require(asked, preflight.LATE)
    return found


@contextmanager
def _nothing_lost(target: Target, space: Workspace, hint: str) -> Iterator[None]:
    """However the block ends: a state that could not be stored is rescued. An error says how to go on."""
    try:
        yield
    except SluiceError as error:
        if isinstance(target, Account) and _THERE.search(str(error)):
            hint += " (with ARGS=--adopt it imports what is this stack's and in no state)"
        raise SluiceError(f"{error}; {hint}", error.code) from error
    finally:
        if isinstance(target, Account):
            rescue(space.stack, target.env)


def destroy(target: Account, var_file: Path, extra: Mapping[str, Any], report: Report) -> Applied:
    """Removes what was deployed. Raises SluiceError (code 1); what was removed until then is so in the state."""
    with planned.opened(target, report) as space, _nothing_lost(target, space, "repeat it to remove the rest"):
        done = api.remove_all(space, api.variables(space, var_file, extra, report), report)
    record.remove(record.plan_file(target.env))
    return done


def account_of(env: str, var_file: Path, extra: Mapping[str, Any]) -> tuple[Account, str, bool]:
    """The account that a file and variables are for, its number, and whether its data is protected, when the
    credentials are its. Raises SluiceError like `make`."""
    known = variables.known(var_file, extra, STACK_DIR)
    asked = preflight.question(env, known, preflight.early_facts(known))
    preflight.require(asked, preflight.EARLY)
    return Account(env, known), asked.account, known.protected


def drift(
    target: Target, env: str, var_file: Path, extra: Mapping[str, Any], report: Report
) -> list[tuple[Change, tuple[str, ...]]]:
    """What differs from the state, and in which attributes; changes nothing. Raises SluiceError like `make`."""
    if isinstance(target, Account):
        target = account_of(env, var_file, extra)[0]
    with planned.opened(target, report) as space:
        return planned.drift(space, var_file, extra, report)


def preflight_of(env: str, var_file: Path, extra: Mapping[str, Any], report: Report) -> list[preflight.Finding]:
    """All findings about the stored plan of these variables, or, without one, about a first deployment."""
    known = variables.known(var_file, extra, STACK_DIR)
    asked = preflight.question(env, known, preflight.early_facts(known))
    facts = _facts_of_plan(env, var_file, asked.account)
    if facts is None:
        out = record.plan_file(env).with_name("preflight.tfplan")
        try:
            with planned.opened(Account(env, known), report, offline=True) as space:
                facts = record.facts_of(planned.make(space, var_file, extra, out, report).document)
        finally:
            out.unlink(missing_ok=True)
    return preflight.run(replace(asked, facts=facts))


def _facts_of_plan(env: str, var_file: Path, account: str) -> record.Facts | None:
    try:
        found = record.load(record.plan_file(env), "")
    except SluiceError:
        return None
    same = found.account == account and found.var_file == str(var_file.resolve())
    return found.facts if same and found.var_file_sha256 == file_sha256(var_file) else None


def unlock(id: str, env: str, var_file: Path, extra: Mapping[str, Any]) -> Lock:
    """Removes the lock with this id from the state. Raises SluiceError (code 1) when there is none, or another."""
    known = variables.known(var_file, extra, STACK_DIR)
    asked = preflight.question(env, known, preflight.early_facts(known))
    preflight.require(asked, (preflight.environment, preflight.account, preflight.region))
    assert asked.state is not None
    held = lock.read(*asked.state, known.region)
    if held is None or held.id != id:
        fail(f"there is no lock {id}: {held.said if held else 'the state is free'}", 1)
    lock.remove(*asked.state, known.region, held)
    return held


def known_of(found: Record) -> Known:
    """Where a plan goes."""
    file = variables.known(Path(found.var_file), {}, STACK_DIR)
    return Known(file.project, found.env, found.region, found.facts.allowed_accounts, found.facts.protected)


def apply(target: Target, found: Record, plan: Path, make_plan: str, report: Report, cause: Cause) -> Applied:
    """Applies a plan that is `ready`, and removes its file: it can be applied once, and holds secret values.

    Raises SluiceError (code 1): the state has changed since the plan, or Terraform failed and what it made is in the
    state.
    """
    if isinstance(target, Account):
        target = Account(target.env, known_of(found))
    with planned.opened(target, report) as space:
        record.refuse_other_state(found, planned.serial(space), make_plan)
        with _nothing_lost(target, space, f"what was made is in the state: `{make_plan}`, then deploy that"):
            done = planned.apply(space, plan, tuple(Change(*one) for one in found.changes), report, cause)
        outputs = done.outputs or api.read_outputs(space)
    record.remove(plan)
    plan.with_suffix(".txt").unlink(missing_ok=True)
    return Applied(done.added, done.changed, done.removed, done.seconds, outputs, done.changes)
