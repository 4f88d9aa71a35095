"""`sluice ls`: what is counted while S3 lists it, against the same objects in memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sluice.pipeline.listing import BUCKETS, Listed, Summary, Total

START = datetime(2026, 3, 1, tzinfo=UTC)
PREFIXES = st.sampled_from(["", "raw/", *(f"{start}{name}/" for start in BUCKETS.values() for name in ("a", "b"))])
OBJECTS = st.lists(
    st.builds(
        lambda bucket, prefix, number, size, hours, managed: Listed(
            bucket, f"{prefix}{number}", size, hours and START + timedelta(hours=hours), managed
        ),
        st.sampled_from(list(BUCKETS)), PREFIXES, st.integers(0, 50), st.integers(0, 9),
        st.none() | st.integers(1, 5), st.booleans(),
    ),
    max_size=30,
    unique_by=lambda one: (one.bucket, one.key),
)  # fmt: skip


@given(OBJECTS, st.integers(0, 8))
def test_the_totals_are_those_of_all_objects_and_the_newest_are_the_first_of_all(
    objects: list[Listed], limit: int
) -> None:
    seen = Summary(limit)
    for one in objects:
        seen.add(one)
    assert len(seen._newest) <= limit  # what is remembered of each object
    assert [one.rank for one in seen.newest] == sorted((one.rank for one in objects), reverse=True)[:limit]
    assert (seen.objects, seen.size) == (len(objects), sum(one.size for one in objects))
    assert seen.unmanaged == [one.key for one in objects if not one.managed]
    for total in seen.totals:
        own = [one for one in objects if (one.bucket, one.dataset) == (total.bucket, total.dataset)]
        newest = max((one.modified for one in own if one.modified), default=None)
        assert total == Total(total.bucket, total.dataset, len(own), sum(one.size for one in own), newest)
    assert sum(total.objects for total in seen.totals) == len(objects)
