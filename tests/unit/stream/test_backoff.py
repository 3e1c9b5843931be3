"""Waiting between attempts."""

import time

from twin.stream.backoff import Backoff


async def test_each_wait_is_longer_up_to_the_longest() -> None:
    backoff = Backoff(first_s=0.01, most_s=0.035)
    planned_s, waited_s = [], []
    for _ in range(4):
        planned_s.append(backoff.next_s)
        started_s = time.monotonic()
        await backoff.wait()
        waited_s.append(time.monotonic() - started_s)
    assert planned_s == [0.01, 0.02, 0.035, 0.035]
    # The loop's clock may be a millisecond coarse.
    assert all(waited >= planned / 2 - 0.002 for waited, planned in zip(waited_s, planned_s, strict=True))


async def test_success_starts_anew() -> None:
    backoff = Backoff(first_s=0.001)
    await backoff.wait()
    assert backoff.next_s == 0.002
    backoff.reset()
    assert backoff.next_s == 0.001
