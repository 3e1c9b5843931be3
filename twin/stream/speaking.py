"""A connection that is only spoken on, made anew whenever it is lost."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn

import aiomqtt
import structlog

from twin.stream.backoff import Backoff
from twin.stream.broker import BrokerAddress

log = structlog.get_logger(__name__)


async def keep_speaking(
    broker: BrokerAddress, client_id: str, speak: Callable[[aiomqtt.Client], Awaitable[NoReturn]]
) -> NoReturn:
    """Connect, and `speak` until the connection is lost; for ever.

    A loss is noticed at once, whatever is being waited for, and the next connection starts with nothing in flight.
    """
    backoff = Backoff()
    while True:
        try:
            async with broker.client(client_id) as client:
                backoff.reset()
                await _until_lost(client, speak)
        except aiomqtt.MqttError as error:
            log.warning("broker.writer_lost", client=client_id, error=str(error), retry_s=round(backoff.next_s, 1))
        await backoff.wait()


async def _until_lost(client: aiomqtt.Client, speak: Callable[[aiomqtt.Client], Awaitable[NoReturn]]) -> None:
    """Raises aiomqtt.MqttError when the connection is gone, also while there is nothing to say."""
    both = {asyncio.ensure_future(speak(client)), asyncio.ensure_future(_lost(client))}
    try:
        ended, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for each in ended:
            each.result()
    finally:
        for each in both:
            each.cancel()
        await asyncio.gather(*both, return_exceptions=True)


async def _lost(client: aiomqtt.Client) -> None:
    """Nothing is subscribed to: all there is to hear is that the connection is gone."""
    async for _ in client.messages:
        pass
