"""The demo's secrets: made once, kept in the demo's home, readable by its owner only."""

import secrets
from pathlib import Path

import msgspec

from twin.parties import UserCategory
from twin.people import password_hash
from twin.registration import register_person
from twin.running import AccountAccess
from twin.servers.homes import write_secret

_PEOPLE = (
    ("admin", "administrator", "管理员 Administrator"),
    ("manager", "platform_manager", "平台主任 Platform manager"),
    ("security", "security", "保卫 Security"),
    ("analyst", "analyst", "分析员 Analyst"),
    ("student", "user", "学生 Student"),
)


class Secrets(msgspec.Struct, frozen=True):
    """Passwords of the demo's controllers, people, and the account that may speak for every controller."""

    speaker: str
    people: dict[str, str]
    controllers: dict[str, str] = {}
    hashes: dict[str, str] = {}
    """Of the people's passwords: making one takes a tenth of a second, and every start needs all of them."""


def load_secrets(home: Path) -> Secrets:
    """The secrets of this home, made at its first use."""
    path = home / "secrets.json"
    if path.exists():
        kept = msgspec.json.decode(path.read_bytes(), type=Secrets)
    else:
        kept = Secrets(secrets.token_urlsafe(12), {name: secrets.token_urlsafe(9) for name, _, _ in _PEOPLE})
    if not kept.hashes:
        hashes = {name: password_hash(password) for name, password in kept.people.items()}
        kept = msgspec.structs.replace(kept, hashes=hashes)
        save_secrets(home, kept)
    return kept


def save_secrets(home: Path, kept: Secrets) -> None:
    """Keep the secrets for the next start."""
    write_secret(home / "secrets.json", msgspec.json.encode(kept).decode())


async def register_people(kept: Secrets) -> None:
    """Give the demo's people their accounts."""
    for username, role, name in _PEOPLE:
        category = UserCategory.STUDENT if role == "user" else UserCategory.STAFF
        await register_person(username, kept.hashes[username], name, role, category)


def accounts(kept: Secrets) -> tuple[AccountAccess, ...]:
    """The accounts as they are printed."""
    return tuple(AccountAccess(username, kept.people[username], role) for username, role, _ in _PEOPLE)
