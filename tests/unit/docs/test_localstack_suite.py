"""Each of LocalStack's own tests that does not pass here has a reason, and docs/engine.md has their table."""

from sluice.paths import ROOT
from tests.localstack_suite import listed

SUITE = listed.load()


def test_every_difference_has_a_reason() -> None:
    for service in SUITE.services:
        for one in service.differs:
            assert one.tests, f"{service.name}: a reason without tests"
            assert one.kind in listed.KINDS, one.tests
            assert one.reason.endswith("."), f"{one.tests}: {one.reason!r} is no sentence"
            assert one.page.startswith("https://docs.aws.amazon.com/") or one.kind != "aws", one.tests


def test_the_counts_fit_the_list() -> None:
    for service in SUITE.services:
        tests = [test for one in service.differs for test in one.tests]
        assert len(tests) == len(set(tests)), f"{service.name}: a test is named twice"
        assert 0 < service.here <= service.run - len(tests), service.name
        assert service.plain is None or 0 < service.plain <= service.run, service.name
        assert all("::" in test for test in tests), service.name


def test_the_page_has_the_table() -> None:
    page = (ROOT / "docs/engine.md").read_text()
    assert listed.table(SUITE) in page, "docs/engine.md: put in the table that `listed.table` gives"
    assert f"LocalStack {SUITE.version}" in page
    assert SUITE.commit[:12] in page
