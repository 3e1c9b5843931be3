"""A broker for tests, with its accounts kept by password."""

import secrets
from urllib.parse import quote

from twin.servers import Account, Mosquitto, controller_account, hash_password, service_account, speaker_account


class BrokerInTest:
    """A real Mosquitto with a service and a speaker account; controllers get theirs by `account`."""

    def __init__(self, mosquitto: Mosquitto) -> None:
        self.server = mosquitto
        self.service_password = secrets.token_urlsafe(12)
        self.speaker_password = secrets.token_urlsafe(12)
        self._service = service_account(hash_password(self.service_password))
        self._speaker = speaker_account(hash_password(self.speaker_password))
        self._controllers: dict[str, Account] = {}

    @property
    def host(self) -> str:
        return self.server.host

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def url(self) -> str:
        """For the service."""
        return self.url_of(self._service.username, self.service_password)

    @property
    def speaker_url(self) -> str:
        """For whoever speaks for every controller."""
        return self.url_of(self._speaker.username, self.speaker_password)

    def url_of(self, username: str, password: str) -> str:
        return f"mqtt://{quote(username)}:{quote(password, safe='')}@{self.host}:{self.port}"

    async def account(self, username: str, password: str) -> str:
        """Add a controller's account, in force on return; returns its address."""
        self._controllers[username] = controller_account(username, hash_password(password))
        await self.update_accounts()
        return self.url_of(username, password)

    async def update_accounts(self) -> None:
        await self.server.set_accounts([self._service, self._speaker, *self._controllers.values()])

    async def start(self) -> None:
        """Start it again on the same port."""
        await self.server.start()

    async def stop(self) -> None:
        """Stop it in order: what it holds is saved."""
        await self.server.stop()

    async def kill(self) -> None:
        """End it as a crash would."""
        await self.server.kill()
