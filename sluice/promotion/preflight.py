"""What an account must have before a deployment begins; what is missing is one line, before anything is changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from sluice.console import fail
from sluice.engine import clients
from sluice.promotion import lock
from sluice.promotion.record import Facts
from sluice.release import aliases
from sluice.terraform import aws, identity
from sluice.terraform.variables import Known

Clients = Callable[[str], Any]
"""A client of a service, in the deployment's region."""


@dataclass(frozen=True)
class Finding:
    """One check: its name, whether it holds, and what was found, in one line."""

    check: str
    holds: bool
    found: str


@dataclass(frozen=True)
class Question:
    """What the checks look at. `state`: bucket and key, None where the state is not in a bucket."""

    env: str
    known: Known
    account: str
    facts: Facts
    state: tuple[str, str] | None
    clients: Clients
    arn: str = ""
    """Of the user or role that asks."""
    shell: Mapping[str, str] = field(default_factory=lambda: os.environ)


def account(asked: Question) -> Finding:
    """The credentials' account is one of allowed_account_ids; the others are none of ours."""
    allowed = asked.facts.allowed_accounts
    if allowed and asked.account not in allowed:
        return _wrong("account", f"the credentials are of account {asked.account}, allowed is {', '.join(allowed)}")
    return _right("account", asked.account)


def environment(asked: Question) -> Finding:
    """The tfvars file is the environment's."""
    if asked.known.env != asked.env:
        return _wrong(
            "environment", f"the tfvars file is of {asked.known.env or 'no environment'}, --env says {asked.env}"
        )
    return _right("environment", asked.env)


def region(asked: Question) -> Finding:
    """The shell means the same region, and the account may use it.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRegions.html
    """
    from botocore.exceptions import ClientError

    from sluice_pipeline.runtime.errors import code_of

    wanted = asked.facts.region
    said = asked.shell.get("AWS_REGION") or asked.shell.get("AWS_DEFAULT_REGION")
    if said and said != wanted:
        return _wrong("region", f"the deployment is for {wanted}, and this shell's region is {said}")
    try:
        [found] = asked.clients("ec2").describe_regions(RegionNames=[wanted], AllRegions=True)["Regions"]
    except (ValueError, KeyError):
        return _wrong("region", f"there is no region {wanted}")
    except ClientError as error:
        if code_of(error) == "InvalidParameterValue":
            return _wrong("region", f"there is no region {wanted}")
        raise
    if found.get("OptInStatus") == "not-opted-in":
        return _wrong("region", f"account {asked.account} has not enabled the region {wanted}")
    return _right("region", wanted)


def concurrency(asked: Question) -> Finding:
    """Lambda's quota is what the queues and reservations count on.

    https://docs.aws.amazon.com/lambda/latest/api/API_GetAccountSettings.html
    """
    limit = int(asked.clients("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"])
    wanted = asked.facts.account_concurrency
    if limit < wanted:
        return _wrong(
            "concurrency",
            f"Lambda runs {limit} functions at once here, account_concurrency is {wanted}: ask AWS for more"
            " (quota L-B99A9384), or lower account_concurrency",
        )
    return _right("concurrency", f"{limit} of at least {wanted}")


def buckets(asked: Question) -> Finding:
    """Names of new buckets are free, and those of the others are this account's.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
    """
    wanted = {name: action for name, action in asked.facts.buckets.items() if action != "delete"}

    def look(name: str) -> str:
        return _owner(asked, name)

    with ThreadPoolExecutor(8) as pool:
        owners = dict(zip(wanted, pool.map(look, wanted), strict=True))
    for name, action in wanted.items():
        if owners[name] == "another":
            return _wrong("buckets", f"the bucket name {name} is taken by another account: set bucket_suffix")
        if owners[name] == "ours" and action == "create":
            return _wrong(
                "buckets",
                f"the bucket {name} is this account's, but not in the state: `sluice plan --adopt`, or bucket_suffix",
            )
    new = sum(action == "create" for action in wanted.values())
    return _right("buckets", f"{new} names are free, {len(wanted) - new} are ours")


def _owner(asked: Question, name: str) -> str:
    """free, ours, or another."""
    from botocore.exceptions import ClientError

    from sluice_pipeline.runtime.errors import code_of

    try:
        asked.clients("s3").head_bucket(Bucket=name, ExpectedBucketOwner=asked.account)
    except ClientError as error:
        code = code_of(error)
        if code in ("404", "NoSuchBucket"):
            return "free"
        if code in ("403", "301", "AccessDenied", "400"):  # 301: in another region, so not the one that is deployed
            return "another"
        raise
    return "ours"


def zones(asked: Question) -> Finding:
    """The zones of the subnets exist.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeAvailabilityZones.html
    """
    there = {zone["ZoneName"] for zone in asked.clients("ec2").describe_availability_zones()["AvailabilityZones"]}
    missing = [zone for zone in asked.facts.zones if zone not in there]
    if missing:
        return _wrong(
            "zones",
            f"there is no zone {missing[0]} for this account: set *_availability_zones ({', '.join(sorted(there))})",
        )
    return _right("zones", ", ".join(asked.facts.zones) or "none needed")


def boundary(asked: Question) -> Finding:
    """The apply role of the bootstrap makes only roles with the bootstrap's boundary."""
    prefix = f"{asked.known.project}-{asked.known.env}"
    if f"/{prefix}-apply/" in asked.arn and not asked.facts.boundary.endswith(f":policy/{prefix}-boundary"):
        return _wrong("boundary", "the apply role makes no role without it: set permissions_boundary_arn")
    return _right("boundary", asked.facts.boundary or "none")


def release(asked: Question) -> Finding:
    """The plan crosses no shift that is under way, and puts nothing forward again that was put back: the version that
    failed may still be the newest."""
    client = asked.clients("lambda")
    for function in asked.facts.moved:
        record = aliases.recorded(client, function)
        if record is not None and record.move is aliases.Move.TO:
            return _wrong("release", f"a shift of {function} is under way: end it, or `sluice rollback`")
        if record is not None and record.move is aliases.Move.BACK:
            return _wrong(
                "release",
                f"{function} was put back from version {record.other}: plan with --gradual, then `sluice shift`",
            )
    return _right("release", f"{len(asked.facts.moved)} functions get new versions at once")


def state_lock(asked: Question) -> Finding:
    """No other run works on the state."""
    held = lock.read(*asked.state, asked.facts.region) if asked.state else None
    if held:
        return _wrong(
            "lock", f"{held.said}; when that run is dead: `sluice unlock {held.id} --target aws --env {asked.env}`"
        )
    return _right("lock", "free")


EARLY = (environment, account, region, state_lock)
"""Before a plan."""
LATE = (concurrency, buckets, zones, boundary, release)
"""What a plan wants of the account."""
CHECKS = (*EARLY, *LATE)
"""Before a deployment."""


def run(asked: Question, checks: tuple[Callable[[Question], Finding], ...] = CHECKS) -> list[Finding]:
    """All findings, in the order of the checks. Raises SluiceError for credentials that AWS refuses."""
    return [_asked(check, asked) for check in checks]


def require(asked: Question, checks: tuple[Callable[[Question], Finding], ...] = CHECKS) -> list[Finding]:
    """As `run`. Raises SluiceError (code 1) with the first that does not hold, and how many more there are."""
    found = run(asked, checks)
    wrong = [one for one in found if not one.holds]
    if wrong:
        more = f" (and {len(wrong) - 1} more: `sluice preflight`)" if len(wrong) > 1 else ""
        fail(f"{wrong[0].check}: {wrong[0].found}{more}", 1)
    return found


def _asked(check: Callable[[Question], Finding], asked: Question) -> Finding:
    from botocore.exceptions import BotoCoreError, ClientError

    from sluice_pipeline.runtime.errors import code_of

    name = check.__name__.removeprefix("state_")
    try:
        return check(asked)
    except ClientError as error:
        code = code_of(error)
        identity.refuse_credentials(code)
        return _wrong(name, f"AWS refuses the question: {error.operation_name}: {code}")
    except BotoCoreError as error:
        return _wrong(name, f"AWS does not answer: {' '.join(str(error).split())}")


def question(env: str, known: Known, facts: Facts) -> Question:
    """About the account of the credentials. Raises SluiceError without credentials, or when they have expired."""
    caller = identity.caller(known.region)
    bucket = os.environ.get(aws.STATE_BUCKET_VARIABLE) or aws.state_bucket(known, caller.account)
    made: dict[str, Any] = {}

    def client(service: str) -> Any:
        if service not in made:
            made[service] = clients.new(service, None, known.region, {})
        return made[service]

    return Question(env, known, caller.account, facts, (bucket, state_key(env)), client, caller.arn)


def state_key(env: str) -> str:
    """The key of an environment's state, as its committed backend file has it."""
    import hcl2

    with aws.backend_file(env).open() as text:
        return str(hcl2.load(text)["key"]).strip('"')


def early_facts(known: Known) -> Facts:
    """What is known before there is a plan."""
    return Facts(known.region, known.allowed_accounts, protected=known.protected)


def _right(check: str, found: str) -> Finding:
    return Finding(check, True, found)


def _wrong(check: str, found: str) -> Finding:
    return Finding(check, False, found)
