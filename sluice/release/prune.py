"""Old versions of functions are removed after a deployment, for a version's code counts until it is deleted.

All versions of all functions and layers of a region share 75 GB of code storage; a deployment that is over it fails:
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html. Lambda itself deletes none.

A version stays that an alias names (any alias, with its weights, too), that an alias's record names (a shift on its
way, a rollback), that is the one before a version in service, or that is one of the NEWEST. What held_versions names is
what an alias names: Terraform has just pointed it there. So a run that is repeated or broken off does no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sluice.pipeline.branches import Branches
from sluice.release import aliases

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack

NEWEST: Final = 5
"""One is in service, one was before it, and the others are for deployments that were held and never shifted to."""
_AT_A_TIME: Final = 8
_REFUSED: Final = "ResourceConflictException"  # an alias names it since
_GONE: Final = "ResourceNotFoundException"
Report = Callable[[str], None]


@dataclass(frozen=True)
class Pruned:
    """A function, and its versions that are gone now, oldest first."""

    function: str
    versions: tuple[str, ...]


def needed(versions: Collection[str], named: Iterable[Mapping[str, Any]], newest: int = NEWEST) -> set[str]:
    """The versions that stay. `named`: the aliases of the function as ListAliases shows them.

    https://docs.aws.amazon.com/lambda/latest/api/API_ListAliases.html
    """
    ordered = sorted(versions, key=int)
    stay = set(ordered[-newest:])
    for alias in named:
        version = str(alias["FunctionVersion"])
        served = {version, *((alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {})}
        record = aliases.record_of(alias.get("Description") or "", version)
        stay |= served | ({record.other} if record is not None else set())
        before = [one for one in ordered if version.isdecimal() and int(one) < int(version)]
        stay.update(before[-1:])
    return stay & set(ordered)


def prune(stack: Stack, report: Report) -> list[Pruned]:
    """Removes what is not needed, of each function of the stack that has versions; returns what is gone, by function.

    Never raises for what AWS refuses: the deployment is done, the line says so, and the next one tries again.
    """
    if not stack.outputs.get(aliases.OUTPUT):
        return []
    client = stack.client("lambda")
    functions = sorted(Branches.of(stack).functions.values(), key=lambda one: one.key)

    def one(function: Any) -> Pruned:
        return Pruned(function.key, tuple(_pruned(client, function.name, function.key, report)))

    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        return [found for found in pool.map(one, functions) if found.versions]


def _pruned(client: Any, name: str, key: str, report: Report) -> list[str]:
    from botocore.exceptions import BotoCoreError, ClientError

    from sluice_pipeline.runtime.errors import code_of

    gone: list[str] = []
    try:
        # The versions first: one that comes into service meanwhile is newer than these, or Lambda refuses to delete it.
        versions = _versions(client, name)
        stay = needed(versions, _aliases(client, name))
        for version in sorted(set(versions) - stay, key=int):
            try:
                client.delete_function(FunctionName=name, Qualifier=version)
            except ClientError as error:
                if code_of(error) == _REFUSED:
                    continue
                if code_of(error) != _GONE:
                    raise
            gone.append(version)
    except ClientError as error:
        if code_of(error) != _GONE:
            report(f"versions of {key} were not all removed ({code_of(error)}): the next deployment tries again")
    except BotoCoreError as error:
        report(f"versions of {key} were not all removed ({type(error).__name__}): the next deployment tries again")
    return gone


def _versions(client: Any, name: str) -> list[str]:
    pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=name)
    return [str(one["Version"]) for page in pages for one in page["Versions"] if one["Version"] != "$LATEST"]


def _aliases(client: Any, name: str) -> list[dict[str, Any]]:
    return [one for page in client.get_paginator("list_aliases").paginate(FunctionName=name) for one in page["Aliases"]]
