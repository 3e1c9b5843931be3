"""Who may speak to the broker, and about what."""

import base64
import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

PREFIX = "users/v1"
SERVICE = "twin.service"
SPEAKER = "twin.speaker"
"""Names with a dot, which no controller's id can have."""

_UPWARD = ("birth", "death", "reading", "card", "ack")
_DOWNWARD = ("command", "grants")
# What Mosquitto itself uses. The passwords are random and long: many rounds would only slow 5,000 accounts down.
_ITERATIONS = 101
_SALT_BYTES = 12


@dataclass(frozen=True, slots=True)
class Account:
    """A name on the broker, its password's hash, and the topic filters it may publish to and receive from."""

    username: str
    password_hash: str
    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()


def hash_password(password: str) -> str:
    """The password as Mosquitto's password file holds it: `$7$iterations$salt$hash`, PBKDF2 with SHA-512."""
    salt = secrets.token_bytes(_SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    return f"$7${_ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def controller_account(controller: str, password_hash: str, prefix: str = PREFIX) -> Account:
    """A controller speaks for itself only, and hears only what is meant for it."""
    own = f"{prefix}/{controller}"
    return Account(controller, password_hash, _topics(own, _UPWARD), _topics(own, _DOWNWARD))


def service_account(password_hash: str, prefix: str = PREFIX) -> Account:
    """The service: everything below the prefix, and the broker's own figures."""
    return Account(SERVICE, password_hash, (f"{prefix}/#",), (f"{prefix}/#", "$SYS/#"))


def speaker_account(password_hash: str, prefix: str = PREFIX) -> Account:
    """For demos and benchmarks: may speak for every controller, and hears what the service tells them."""
    every = f"{prefix}/+"
    return Account(SPEAKER, password_hash, _topics(every, _UPWARD), (*_topics(every, _DOWNWARD), f"{prefix}/twin/#"))


def password_file(accounts: Iterable[Account]) -> str:
    """Mosquitto's `password_file`."""
    return "".join(f"{account.username}:{account.password_hash}\n" for account in accounts)


def acl_file(accounts: Iterable[Account]) -> str:
    """Mosquitto's `acl_file`."""
    return "\n".join(_rules(account) for account in accounts)


def _rules(account: Account) -> str:
    lines = [f"user {account.username}"]
    lines += [f"topic write {topic}" for topic in account.publish]
    lines += [f"topic read {topic}" for topic in account.subscribe]
    return "\n".join(lines) + "\n"


def _topics(parent: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{parent}/{name}" for name in names)
