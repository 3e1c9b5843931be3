"""The inbox: order, what is worked on in one go, and the bounds of what nobody else holds back."""

import asyncio

from twin.stream.inbox import MAX_BYTES, MAX_MESSAGES, MAX_UNHELD, MAX_UNHELD_BYTES, Inbox
from twin.stream.packets import Delivery

TOPIC = "users/v1/c1/reading"


def delivery(mid: int, *, payload: bytes = b"{}", qos: int = 1) -> Delivery:
    return Delivery(TOPIC, payload, received_ms=1000 + mid, mid=mid, qos=qos, connection=1)


async def test_what_comes_first_is_taken_first() -> None:
    inbox = Inbox()
    inbox.put([delivery(2), delivery(1)])
    inbox.put([delivery(3)])
    assert (len(inbox), inbox.oldest_ms()) == (3, 1002)
    assert [each.mid for each in await inbox.take(0)] == [2, 1, 3]
    assert (len(inbox), inbox.oldest_ms()) == (0, None)


async def test_what_was_taken_too_early_comes_first_again() -> None:
    inbox = Inbox()
    inbox.put([delivery(mid) for mid in (1, 2, 3)])
    taken = await inbox.take(0)
    inbox.put([delivery(4)])
    inbox.put_back(taken[1:])
    assert (len(inbox), inbox.oldest_ms()) == (3, 1002)
    assert [each.mid for each in await inbox.take(0)] == [2, 3, 4]


async def test_nothing_in_time_is_an_empty_batch() -> None:
    assert await Inbox().take(0.001) == []


async def test_a_waiting_taker_is_woken() -> None:
    inbox = Inbox()
    taking = asyncio.create_task(inbox.take(30))
    await asyncio.sleep(0)
    inbox.put([delivery(1)])
    async with asyncio.timeout(30):
        assert await taking == [delivery(1)]


async def test_a_batch_has_so_many_messages_at_most() -> None:
    inbox = Inbox()
    inbox.put([delivery(mid) for mid in range(MAX_MESSAGES + 1)])
    assert len(await inbox.take(0)) == MAX_MESSAGES
    assert [each.mid for each in await inbox.take(0)] == [MAX_MESSAGES]


async def test_a_batch_ends_with_the_message_that_makes_it_large() -> None:
    inbox = Inbox()
    inbox.put([delivery(mid, payload=bytes(MAX_BYTES // 2 + 1)) for mid in range(3)])
    assert len(await inbox.take(0)) == 2
    assert len(await inbox.take(0)) == 1


async def test_a_flood_at_qos_0_is_bounded_and_counted() -> None:
    inbox = Inbox()
    inbox.put([delivery(mid, qos=0) for mid in range(MAX_UNHELD + 7)])
    assert (len(inbox), inbox.dropped) == (MAX_UNHELD, 7)
    inbox.put([delivery(1)])
    assert (len(inbox), inbox.dropped) == (MAX_UNHELD + 1, 7), "what the broker will send again is never dropped"
    await inbox.take(0)
    inbox.put([delivery(mid, qos=0) for mid in range(10)])
    assert inbox.dropped == 7, "there is room again"


async def test_a_flood_of_large_messages_at_qos_0_is_bounded_too() -> None:
    inbox = Inbox()
    megabyte = bytes(1_000_000)
    most = MAX_UNHELD_BYTES // len(megabyte)
    inbox.put([delivery(mid, payload=megabyte, qos=0) for mid in range(most + 5)])
    assert (len(inbox), inbox.dropped) == (most, 5)
    for _ in range(most):
        await inbox.take(0)
    inbox.put([delivery(1, payload=megabyte, qos=0)])
    assert (len(inbox), inbox.dropped) == (1, 5)
