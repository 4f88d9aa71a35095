"""Our short ways through an update and a query give what moto's long ways give, for any items: result or error."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.engine_harness import PYTHON

WORKER = Path(__file__).with_name("moto_worker.py")
ATTRIBUTES = ("a", "b", "ab", "count", "state", "x-y", "names", "x.y")
NAMES = {"#a": "a", "#b": "b", "#s": "state", "#c": "count", "#d": "x-y", "#p": "pk", "#dot": "x.y"}
VALUES: dict[str, dict[str, Any]] = {
    ":n": {"N": "3"},
    ":m": {"N": "-0.50"},
    ":big": {"N": "1e3"},
    ":s": {"S": "text"},
    ":e": {"S": ""},
    ":t": {"BOOL": True},
    ":l": {"L": [{"N": "1"}, {"M": {"k": {"S": "v"}}}]},
    ":ss": {"SS": ["u", "v"]},
    ":z": {"NULL": True},
    ":long": {"S": "z" * 210_000},
}


class Worker:
    """moto in the engine's interpreter."""

    def __init__(self, *arguments: str) -> None:
        command = [PYTHON, str(WORKER), *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, case: dict[str, Any]) -> Any:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(case) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(20)


@pytest.fixture(scope="module")
def workers() -> Iterator[tuple[Worker, Worker]]:
    if not Path(PYTHON).exists():
        pytest.skip(f"no engine environment at {PYTHON}; run `make setup` or set SLUICE_ENGINE_PYTHON")
    both = (Worker("ours"), Worker())
    yield both
    for one in both:
        one.stop()


names = st.sampled_from([*NAMES, "a", "b", "ab", "count", "state", "pk", "gone", "#none", "a.k", "b[0]"])
plain_names = st.sampled_from(["#a", "#b", "#s", "#d", "a", "b", "ab", "gone"])
values = st.sampled_from([*VALUES, ":none"])
numbers = st.sampled_from([":n", ":m", ":big"])


@st.composite
def operand(draw: st.DrawFn) -> str:
    kind = draw(st.integers(0, 9))
    if kind < 5:
        return draw(values)
    if kind < 7:
        return draw(plain_names)
    if kind < 9:
        return f"if_not_exists({draw(plain_names)}, {draw(values)})"
    return f"list_append({draw(plain_names)}, :l)"


@st.composite
def update(draw: st.DrawFn) -> str:
    target = st.one_of(plain_names, plain_names, plain_names, names)
    sum_of = st.tuples(target, operand(), st.sampled_from(["+", "-", " + "]), operand())
    sets = st.one_of(st.tuples(target, operand()), sum_of)
    clauses = []
    if draw(st.booleans()):
        parts = draw(st.lists(sets, min_size=1, max_size=4))
        clauses.append("SET " + ", ".join(f"{p[0]} = {''.join(p[1:])}" for p in parts))
    if draw(st.booleans()):
        added = draw(st.lists(st.tuples(target, st.one_of(numbers, values)), min_size=1, max_size=3))
        clauses.append("ADD " + ",".join(f"{name} {value}" for name, value in added))
    if draw(st.booleans()):
        clauses.append("REMOVE " + ", ".join(draw(st.lists(target, min_size=1, max_size=3))))
    if draw(st.integers(0, 9)) == 0:
        clauses.append("DELETE a :ss")
    return " ".join(draw(st.permutations(clauses))) or "SET a = :n"


@st.composite
def plain_update(draw: st.DrawFn) -> str:
    """What our short way is for, mostly without errors."""
    chosen = draw(st.permutations(["#a", "#b", "count", "gone", "#d", "#dot"]))
    number = st.one_of(
        numbers, st.sampled_from(["#a", "b", "count"]), st.builds("if_not_exists({}, {})".format, plain_names, numbers)
    )
    sums = st.builds(" ".join, st.tuples(number, st.sampled_from("+-"), number))
    found = draw(st.lists(st.one_of(values, number, sums), min_size=1, max_size=2))
    sets = ", ".join(f"{name}={value}" for name, value in zip(chosen, found, strict=False))
    clauses = [f"SET {sets}", f"ADD {chosen[2]} {draw(numbers)}", f"REMOVE {chosen[3]}, {chosen[4]}"]
    return " ".join(draw(st.permutations(clauses))[: draw(st.integers(1, 3))])


@st.composite
def condition(draw: st.DrawFn, depth: int = 2) -> str:
    if depth and draw(st.booleans()):
        joint = draw(st.sampled_from([" AND ", " OR ", " and "]))
        both = draw(condition(depth - 1)) + joint + draw(condition(depth - 1))
        return draw(st.sampled_from([both, f"({both})", f"NOT ({both})"]))
    name = draw(st.one_of(plain_names, plain_names, names))
    value, other = draw(values), draw(values)
    return draw(
        st.sampled_from(
            [
                f"attribute_exists({name})",
                f"attribute_not_exists({name})",
                f"{name} = {value}",
                f"{name} <> {value}",
                f"{name} < {value}",
                f"{name} IN ({value}, {other})",
                f"{name} BETWEEN {value} AND {other}",
                f"begins_with({name}, :s)",
                f"contains({name}, {value})",
                f"size({name}) > :n",
                f"{name} {value}",
            ]
        )
    )


items = st.one_of(
    st.none(),
    st.dictionaries(st.sampled_from(ATTRIBUTES), st.sampled_from(list(VALUES.values())), max_size=5),
    st.just({"a": {"N": "1"}, "b": {"N": "2.5"}, "count": {"N": "7"}, "state": {"S": "planned"}}),
    st.just({"a": VALUES[":l"], "b": {"N": "2.5"}, "x-y": {"S": "x"}}),
)


@settings(max_examples=300, deadline=None)
@given(
    item=items,
    expression=update() | plain_update(),
    check=st.one_of(st.none(), st.none(), condition()),
    transact=st.booleans(),
)
def test_an_update_gives_what_moto_gives(
    workers: tuple[Worker, Worker], item: Any, expression: str, check: str | None, transact: bool
) -> None:
    case = {"item": item, "update": expression, "condition": check, "names": NAMES, "values": VALUES}
    ours, motos = (worker.ask(case | {"transact": transact}) for worker in workers)
    assert ours == motos


keys = st.fixed_dictionaries({"pk": st.sampled_from("abc"), "sk": st.sampled_from("12345")})
stored = st.builds(
    lambda key, state: {name: {"S": value} for name, value in (key | ({"state": state} if state else {})).items()},
    keys,
    st.sampled_from(["", "open", "done"]),
)


@settings(max_examples=150, deadline=None)
@given(
    items=st.lists(stored, max_size=15),
    hash_key=st.sampled_from(["a", "b", "open", "done", "none"]),
    index=st.sampled_from([None, "by_state", "by_nothing"]),
    limit=st.sampled_from([None, 1, 2, 5]),
    forward=st.booleans(),
    begin=st.sampled_from([None, "2", "4"]),
)
def test_a_query_gives_what_moto_gives(
    workers: tuple[Worker, Worker],
    items: list[Any],
    hash_key: str,
    index: str | None,
    limit: int | None,
    forward: bool,
    begin: str | None,
) -> None:
    wanted = {
        "hash_key_dict": {"S": hash_key},
        "range_comparison": "GE" if begin and not index else None,
        "range_value_dicts": [{"S": begin}] if begin and not index else [],
        "limit": limit,
        "scan_index_forward": forward,
        "projection_expressions": None,
        "index_name": index,
    }
    ours, motos = (worker.ask({"items": items, "query": wanted}) for worker in workers)
    assert ours == motos
