"""Taking the site, platforms, instruments, tariffs, controllers and accounts into the registry."""

import secrets
from collections.abc import Iterable
from decimal import Decimal

import msgspec

from twin.models.money import Tariff as TariffRow
from twin.models.people import Person
from twin.models.registry import Controller, Instrument, Platform, Site
from twin.parties import UserCategory
from twin.policy import layered
from twin.servers import hash_password
from twin.store.rows import to_time
from twin.stream.topics import is_controller_id
from twin.tariffs import Tariff


class RegistrationError(ValueError):
    """What was to be registered cannot be; the message says why."""


class NewSite(msgspec.Struct, frozen=True, kw_only=True):
    """The site; policy and opening hours (`twin.layering`) hold where nothing more specific is set."""

    name_zh: str
    name_en: str
    timezone: str
    policy: dict[str, object] = {}
    opening: dict[str, object] | None = None


class NewPlatform(msgspec.Struct, frozen=True):
    """A platform to register; its parent is registered before it."""

    code: str
    name_zh: str
    name_en: str
    level: str
    parent: str | None = None
    policy: dict[str, object] = {}


class NewInstrument(msgspec.Struct, frozen=True, kw_only=True):
    """An instrument to register, on a platform that is."""

    code: str
    name_zh: str
    name_en: str
    model: str = ""
    place: str = ""
    category: str = ""
    value_cny: Decimal
    platform: str
    policy: dict[str, object] = {}


async def register_site(new: NewSite) -> None:
    """Register the site, unless it is. Raises msgspec.ValidationError for a policy that cannot be."""
    layered(new.policy)
    await Site.get_or_create(msgspec.structs.asdict(new), id=1)


async def register_tariffs(tariffs: Iterable[Tariff]) -> None:
    """Register those versions that are not yet; what is in force is never edited."""
    ids = dict(await Instrument.all().values_list("code", "id"))
    rows = [
        TariffRow(instrument_id=ids[new.instrument], since=to_time(new.from_ms), body=_body(new)) for new in tariffs
    ]
    await TariffRow.bulk_create(rows, batch_size=500, ignore_conflicts=True)


def _body(tariff: Tariff) -> dict[str, object]:
    values: dict[str, object] = msgspec.to_builtins(tariff)
    return {name: value for name, value in values.items() if name not in {"instrument", "from_ms"}}


async def register_platforms(platforms: Iterable[NewPlatform]) -> None:
    """Register those platforms that are not yet. Raises msgspec.ValidationError for a policy that cannot be."""
    known = {platform.code: platform for platform in await Platform.all()}
    for new in platforms:
        layered(new.policy)
        if new.code not in known:
            known[new.code] = await Platform.create(
                code=new.code,
                name_zh=new.name_zh,
                name_en=new.name_en,
                level=new.level,
                parent=known[new.parent] if new.parent else None,
                policy=new.policy,
            )


async def register_instruments(instruments: Iterable[NewInstrument]) -> None:
    """Register those instruments that are not yet. Raises msgspec.ValidationError for a policy that cannot be."""
    platforms = {platform.code: platform for platform in await Platform.all()}
    known = {instrument.code for instrument in await Instrument.all().only("code")}
    rows = []
    for new in instruments:
        layered(new.policy)
        if new.code not in known:
            fields = msgspec.structs.asdict(new) | {"platform": platforms[new.platform]}
            rows.append(Instrument(**fields))
    await Instrument.bulk_create(rows, batch_size=500)


async def register_controllers(instruments: dict[str, str], passwords: dict[str, str]) -> dict[str, str]:
    """Fit controllers to instruments (controller id -> instrument code) and hand out passwords.

    A password in `passwords` is kept and made valid again; where there is none, a new one is made. Only the digest is
    stored: what is returned (controller id -> password) is seen this once.

    Raises:
        RegistrationError: an id cannot be one, or an instrument does not exist.

    """
    if wrong := [name for name in instruments if not is_controller_id(name)]:
        raise RegistrationError(f"{wrong[0]!r} cannot be a controller's id: 1 to 64 of A-Z a-z 0-9 _ -, and not 'twin'")
    by_code = {each.code: each for each in await Instrument.filter(code__in=list(instruments.values()))}
    if missing := set(instruments.values()) - set(by_code):
        raise RegistrationError(f"no instrument {min(missing)!r}: register it first")
    known = {each.name: each for each in await Controller.filter(name__in=list(instruments))}
    given = {name: passwords.get(name) or secrets.token_urlsafe(18) for name in instruments}
    new = []
    for name, code in instruments.items():
        digest = hash_password(given[name])
        if name not in known:
            new.append(Controller(name=name, instrument=by_code[code], password_hash=digest))
        elif name not in passwords:
            known[name].password_hash = digest
            await known[name].save(update_fields=["password_hash"])
    await Controller.bulk_create(new, batch_size=500)
    return given


async def grant_keys(controllers: Iterable[str] | None = None) -> dict[str, str]:
    """What the grants of these controllers, or of all, are signed with: made where there is none yet.

    A secret that the service shares with each controller, 64 hexadecimal digits: to be handed on like its password.
    """
    await make_grant_keys()
    wanted = Controller.all() if controllers is None else Controller.filter(name__in=list(controllers))
    return dict(await wanted.values_list("name", "grant_key"))


async def make_grant_keys() -> None:
    """Give a key to every controller that has none, as `grant_keys` gives them."""
    keyless = await Controller.filter(grant_key=None)
    for each in keyless:
        each.grant_key = secrets.token_hex(32)
    if keyless:
        await Controller.bulk_update(keyless, ["grant_key"], batch_size=500)


async def register_person(
    username: str, hashed: str, name: str, role: str, category: UserCategory = UserCategory.STAFF
) -> None:
    """Give somebody an account, or a new password, which comes as `twin.people.password_hash` makes it."""
    await Person.update_or_create(
        {"password_hash": hashed, "name": name, "role": role, "category": category.value},
        username=username,
    )
