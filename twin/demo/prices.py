"""The demo's tariffs: by what an instrument is worth, half price at night, with what each kind adds."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from twin.demo import site
from twin.demo.community import SINCE
from twin.registration import NewInstrument
from twin.store.rows import to_ms
from twin.tariffs import Band, Rates, Tariff

NIGHT = Band(percent=50, from_minute=22 * 60, until_minute=8 * 60)

_EXTRAS: dict[str, dict[str, Any]] = {
    "SEM": {"startup_fee_cny": Decimal(50), "no_show_percent": 50},
    "XRD": {"min_minutes": 30, "no_show_percent": 20},
    "HPLC": {"session_cap_cny": Decimal(400), "idle_percent": 50},
    "FUR": {"session_cap_cny": Decimal(900), "idle_percent": 80},
    "CEN": {"startup_fee_cny": Decimal(20), "min_minutes": 20},
}


def tariffs() -> Iterator[Tariff]:
    """One version for each connected instrument."""
    connected = {code for code, _ in site.connected().values()}
    return (_tariff(each) for each in site.instruments() if each.code in connected)


def _tariff(instrument: NewInstrument) -> Tariff:
    rate_cny = max(20, round(instrument.value_cny / 50_000) * 5)
    return Tariff(
        instrument=instrument.code,
        from_ms=to_ms(SINCE),
        rates=Rates(internal=Decimal(rate_cny), partner=Decimal(rate_cny) * 3 / 2, external=Decimal(rate_cny) * 3),
        bands=(NIGHT,),
        **_EXTRAS.get(instrument.code.split("-")[0], {}),
    )
