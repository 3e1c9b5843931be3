"""TimescaleDB and Mosquitto of one's own: no root, no Docker, nothing installed on the machine."""

from twin.servers.accounts import (
    Account,
    controller_account,
    hash_password,
    service_account,
    speaker_account,
)
from twin.servers.errors import ServersError
from twin.servers.homes import claim_home
from twin.servers.mosquitto import Mosquitto, private_mosquitto
from twin.servers.packages import Progress
from twin.servers.postgres import Postgres, private_postgres
from twin.servers.private import Servers, private_servers
from twin.servers.supervision import kept_running

__all__ = [
    "Account",
    "Mosquitto",
    "Postgres",
    "Progress",
    "Servers",
    "ServersError",
    "claim_home",
    "controller_account",
    "hash_password",
    "kept_running",
    "private_mosquitto",
    "private_postgres",
    "private_servers",
    "service_account",
    "speaker_account",
]
