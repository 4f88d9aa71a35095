"""The store of a table's items against a plain dictionary: every order of changes, indexes and copies."""

import copy
import pickle
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sluice_ext.dynamodb.items import Items, Partition, decode, part

KEYS = st.tuples(st.sampled_from("ab"), st.sampled_from(["1", "2", "10", "-3"]))
ITEMS = st.fixed_dictionaries({}, optional={"state": st.sampled_from(["open", "done"]), "n": st.integers(0, 3)})
CHANGES = st.lists(st.tuples(KEYS, st.none() | ITEMS), max_size=25)


def attributes(key: tuple[str, str], content: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"pk": {"S": key[0]}, "sk": {"N": key[1]}}
    if "state" in content:
        found["state"] = {"S": content["state"]}
    return found | ({"n": {"N": str(content["n"])}} if "n" in content else {})


@given(CHANGES, st.integers(0, 25), st.integers(0, 25))
def test_items_and_indexes_follow_every_change(changes: list[Any], indexed_at: int, read_at: int) -> None:
    """``indexed_at``: when the index and the times to live are asked for; ``read_at``: from when on all is in order."""
    items, plain = Items(), {}
    for number, (key, content) in enumerate(changes):
        if number == indexed_at:
            items.index("by_state", "state", "n")
            items.expiring("n")
        if number >= read_at:
            for partition in [items.partitions, *items.partitions.values()]:
                assert partition.ordered() == sorted(partition)
        place = (key[0], part({"N": key[1]}))
        if content is None:
            items.remove(place)
            plain.pop(place, None)
        else:
            plain[place] = attributes(key, content)
            items.put(place, plain[place])
    for one in (items, pickle.loads(pickle.dumps(items)), copy.deepcopy(items)):
        assert {place: decode(stored) for place, stored in one.all()} == plain
        assert len(one) == len(plain)
        index = one.index("by_state", "state", "n")
        found = {
            name: [partition[entry] for entry in partition.ordered()] for name, partition in index.partitions.items()
        }
        expected: dict[str, list[Any]] = {}
        for place in sorted(plain, key=lambda at: (int(plain[at].get("n", {"N": "0"})["N"]), at)):
            if "state" in plain[place] and "n" in plain[place]:
                expected.setdefault(plain[place]["state"]["S"], []).append(place)
        assert found == expected
        times = {place: int(one["n"]["N"]) for place, one in plain.items() if "n" in one}
        due = sorted(place for place, moment in times.items() if 0 < moment <= 2)
        assert sorted(one.expiring("n").due(0, 2)) == due
        assert one.expiring("sk").times.keys() == plain.keys()
    for partition in items.partitions.values():
        assert partition.ordered() == sorted(partition)


class Counted(str):
    """A range key that counts how often any of its kind is compared."""

    compared = 0

    def __lt__(self, other: object) -> bool:
        Counted.compared += 1
        return str(self) < str(other)


def test_a_change_among_many_entries_costs_a_few_comparisons() -> None:
    """Not a sort of all: then each object of a ledger of 100,000 would cost more than one of a thousand."""
    partition = Partition()
    for number in range(4_096):
        partition.set(Counted(f"{number:05d}"), b"")
    assert len(partition.ordered()) == 4_096
    Counted.compared = 0
    for number in range(0, 2_000, 2):
        partition.set(Counted(f"{number:05d}a"), b"")
        partition.remove(Counted(f"{number:05d}"))
        partition.ordered()
    assert Counted.compared <= 2 * 1_000 * 14
    assert partition.ordered() == sorted(partition)
