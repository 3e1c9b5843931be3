"""A thousand instrument-days of whole sites, with faults, held against the oracle."""

import pytest

from benchmarks.simulation.compare import Comparison, compare

INSTRUMENTS, DAYS, SITES = 10, 5, 20
FOUND = (207, 225, 503)
"""By which something was found that no other has: late data after an end, no relay, a mark at an end."""


@pytest.mark.parametrize("seed", [*range(1, SITES + 1), *FOUND])
def test_fleet_and_oracle_agree(seed: int) -> None:
    found = Comparison()
    compare(seed, INSTRUMENTS, DAYS, found)
    print(found)  # noqa: T201  # the seed and the counts, for whoever reads why it failed
    assert found.sessions > 50
    assert found.alerts > 50
    assert not found.disagreements


def test_it_is_a_thousand_instrument_days() -> None:
    assert INSTRUMENTS * DAYS * SITES >= 1000
