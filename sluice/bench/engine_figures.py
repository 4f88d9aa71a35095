"""Figures of an engine: what it takes to start and to deploy to, and the hop; of ours, and of the peers."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator

from sluice.bench import hop_bare, hop_real, peers, stage, verbs, yaml_loop
from sluice.bench.figures import Figure, Hop, Target, at_least, at_most
from sluice.bench.measuring import MB, Calibrated, Report, guarded
from sluice.bench.stage import Memory, Stage
from sluice.paths import ROOT

PEER_DEADLINE = 420.0
"""Seconds for a peer's objects: where a function's first start fails, its message is back after 180 s."""
_SPENT = "of the tool, Terraform and the provider; it hardly depends on what else runs"


def start_figures(where: Stage) -> list[Figure]:
    """What it took to get an engine and the stack, and what the engine then holds."""
    found = [
        Figure(
            "setup", "up", where.seconds["up"], "s", at_most(5), "`make up` with a new home: LocalStack, PostgreSQL"
        ),
        Figure("setup", "deploy", where.seconds.get("deploy"), "s", at_most(100), "dev.tfvars as it is"),
        Figure("setup", "down, with its save", where.seconds.get("down"), "s", None, "the deployed stack"),
        Figure("setup", "up to the first call", where.seconds.get("restore"), "s", at_most(5), "what down saved"),
    ]
    return [*found, *memory_figures(where)]


def memory_figures(where: Stage) -> list[Figure]:
    """What an engine holds now, and with the processes below it: its functions, where they run there."""
    engine, functions = stage.memory(where.root())
    below = Figure("setup", "with functions", (engine + functions) / MB, "MB", None, "and the processes below it")
    return [
        Figure("setup", "engine memory", engine / MB, "MB", at_most(500), "after the deployment"),
        *([below] if where.functions_below else []),
    ]


def setup_figures(own: Stage, report: Report) -> list[Figure]:
    report("bench   second set-up and no-change deployment")
    bootstrap = [sys.executable, "-I", "-S", str(ROOT / "sluice/setup/bootstrap.py")]
    stage.run(bootstrap)
    second = statistics.median(stage.timed(lambda: stage.run(bootstrap)) for _ in range(3))
    before = stage.processor_seconds()
    unchanged = stage.deploy(own, report)
    spent = stage.processor_seconds() - before
    return [
        Figure("setup", "second set-up", second, "s", at_most(2), "median of 3"),
        Figure("setup", "no-change deploy", unchanged, "s", at_most(8)),
        Figure("setup", "no-change deploy, processor time", spent, "s", None, _SPENT),
        *guarded("setup", "YAML loop", lambda: yaml_figures(own, report)),
        *(
            Figure(
                "setup",
                f"sluice {' '.join(words)}",
                seconds,
                "s",
                at_most(0.4),
                "median of 5, start of Python included",
            )
            for words, seconds in verbs.measure(own.instance)
        ),
    ]


def yaml_figures(own: Stage, report: Report) -> list[Figure]:
    report("bench   YAML loop: one changed rule")
    loop = yaml_loop.measure(own, report)
    return [
        Figure("setup", "YAML loop", loop.seconds, "s", at_most(8), "a changed rule, built, deployed and in service"),
        Figure("setup", "YAML loop, processor time", loop.processor_seconds, "s", None, _SPENT),
    ]


def hop_figures(
    where: Stage, objects: int, report: Report, clock: Calibrated, *, deployed: bool = True, deadline: float = 120.0
) -> list[Figure]:
    """The bare hop, and the real one where the stack is deployed. deadline: seconds for each load's objects."""
    report(f"bench   hop on {where.name}: two bare functions, {objects} objects")
    found = clock.around(lambda: guarded("hop", "bare hop", lambda: _bare(where, objects, deadline)))
    if deployed:
        report(f"bench   hop on {where.name}: ingest and transform, {objects} objects")
        found += clock.around(lambda: guarded("hop", "real hop", lambda: _real(where, objects, deadline)))
    return found


def _bare(where: Stage, objects: int, deadline: float) -> list[Figure]:
    return list(_hop("bare", hop_bare.measure(where.stack, objects, deadline), at_least(60), at_most(0.10)))


def _real(where: Stage, objects: int, deadline: float) -> list[Figure]:
    usage: list[stage.Usage] = []
    with Memory(where.root()) as memory, stage.core_only(where) as branches:
        hops = hop_real.measure(where.stack, objects, deadline, lambda: usage.append(where.usage()))
    cost = usage[1].per(usage[0], objects)
    paced = f"{hops.paced.objects} objects put at that rate"
    alone = f"{hops.alone.objects} objects, one at a time"
    processor = "processor time, so it hardly depends on what else runs"
    return [
        *_hop("real", hops.burst, at_least(25), at_most(0.25)),
        Figure("hop", f"real, p50 at {hop_real.PACE} objects/s", hops.paced.p50_s, "s", at_most(0.25), paced),
        Figure("hop", f"real, p99 at {hop_real.PACE} objects/s", hops.paced.p99_s, "s"),
        Figure("hop", "real, p50 of a single object", hops.alone.p50_s, "s", None, alone),
        Figure("hop", "real, engine's work per object", cost.engine, "ms", None, processor),
        Figure("hop", "real, engine memory", memory.engine / MB, "MB", at_most(500), "highest"),
        *(_below(cost, memory, processor) if where.functions_below else []),
        *_with_branches(where, objects, branches),
    ]


def _below(cost: stage.Usage, memory: Memory, processor: str) -> list[Figure]:
    """Of functions that run below the engine's process."""
    return [
        Figure("hop", "real, functions' work per object", cost.functions, "ms", None, processor),
        Figure("hop", "real, with functions", (memory.engine + memory.functions) / MB, "MB", None, "highest"),
    ]


def _with_branches(where: Stage, objects: int, branches: int) -> list[Figure]:
    """The same hop while every branch that dev.tfvars turns on takes its share of each object, on the same machine."""
    if not branches:
        return []
    hops = hop_real.measure(where.stack, objects)
    what = f"to committed silver, beside {branches} branches that subscribe to each object"
    return [
        Figure("hop", "real beside the branches, throughput", hops.burst.objects_per_s, "objects/s", None, what),
        Figure("hop", f"real beside the branches, p50 at {hop_real.PACE} objects/s", hops.paced.p50_s, "s"),
        Figure("hop", "real beside the branches, p50 of a single object", hops.alone.p50_s, "s"),
    ]


def _hop(name: str, hop: Hop, rate: Target, middle: Target) -> Iterator[Figure]:
    warm = hop_bare.WARM_UP if name == "bare" else hop_real.WARM_UP
    text = f"{hop.objects} objects put one after the other, after a warm-up of {warm}"
    yield Figure("hop", f"{name}, throughput", hop.objects_per_s, "objects/s", rate, text)
    yield Figure("hop", f"{name}, p50", hop.p50_s, "s", middle)
    yield Figure("hop", f"{name}, p99", hop.p99_s, "s")


def peer_figures(peer: peers.Peer, objects: int, report: Report) -> list[Figure]:
    """The hop on a peer, of which only the core is deployed; one figure that says why where it cannot run functions."""
    if reason := peer.lacks():
        return [Figure("hop", "hop", None, "", note=reason)]
    clock = Calibrated(report)
    with peers.engine(peer, report) as other:
        clock.beside = other
        reason = peers.deploy(other, report)
        found = clock.around(lambda: peer_start_figures(other))
        found += hop_figures(other, objects, report, clock, deployed=reason is None, deadline=PEER_DEADLINE)
        if reason is not None:
            found.append(Figure("hop", "real hop", None, "", note=f"the Terraform cannot be applied: {reason}"))
        return found


def peer_start_figures(other: Stage) -> list[Figure]:
    """What it took to get a peer and the core's stack, and what its process then holds."""
    return [
        Figure("setup", "up", other.seconds["up"], "s", None, "its process alone"),
        Figure(
            "setup", "deploy, the core alone", other.seconds.get("deploy"), "s", None, "dev.tfvars, all branches off"
        ),
        *memory_figures(other),
    ]
