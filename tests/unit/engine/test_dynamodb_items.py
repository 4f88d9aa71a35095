"""The store of a table's items against a plain dictionary: every order of changes, indexes and copies."""

import copy
import pickle
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sluice_ext.dynamodb.items import Items, decode, part

KEYS = st.tuples(st.sampled_from("ab"), st.sampled_from(["1", "2", "10", "-3"]))
ITEMS = st.fixed_dictionaries({}, optional={"state": st.sampled_from(["open", "done"]), "n": st.integers(0, 3)})
CHANGES = st.lists(st.tuples(KEYS, st.none() | ITEMS), max_size=25)


def attributes(key: tuple[str, str], content: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"pk": {"S": key[0]}, "sk": {"N": key[1]}}
    if "state" in content:
        found["state"] = {"S": content["state"]}
    return found | ({"n": {"N": str(content["n"])}} if "n" in content else {})


@given(CHANGES, st.integers(0, 25))
def test_items_and_indexes_follow_every_change(changes: list[Any], indexed_at: int) -> None:
    items, plain = Items(), {}
    for number, (key, content) in enumerate(changes):
        if number == indexed_at:
            items.index("by_state", "state", "n")
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
    for partition in items.partitions.values():
        assert partition.ordered() == sorted(partition)
