"""What the rules say a session costs, second by second: slow, plain, with nothing of the twin but its values.

Each second of the session votes for the kind of its minute; each minute is asked for its local time on its own. Amounts
are fractions until they are written.
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from zoneinfo import ZoneInfo

from twin.state import Category
from twin.tariffs import Allowance, Band, Fund, Payer, Tariff


def minute_prices(
    category: Callable[[int], Category], start_s: int, end_s: int, tariff: Tariff, payer: Payer, *, zone: ZoneInfo
) -> list[Fraction]:
    """The price of each minute, the last one begun included."""
    prices = []
    for minute_s in range(start_s, end_s, 60):
        votes = _by_kind(category, minute_s, min(minute_s + 60, end_s))
        percent = min(_percent(each, tariff) for each, count in votes.items() if count == max(votes.values()))
        band = _band_percent(datetime.fromtimestamp(minute_s, zone), tariff.bands)
        prices.append(Fraction(getattr(tariff.rates, payer)) / 60 * band / 100 * percent / 100)
    return prices


def amounts(
    prices: list[Fraction], tariff: Tariff, payer: Payer, allowance: Allowance, fund: Fund
) -> tuple[Fraction, Fraction, Fraction]:
    """Gross, allowance and subsidy, not rounded."""
    least = tariff.min_minutes * Fraction(getattr(tariff.rates, payer)) / 60
    gross = Fraction(tariff.startup_fee_cny) + max(sum(prices, Fraction()), least)
    if tariff.session_cap_cny is not None:
        gross = min(gross, Fraction(tariff.session_cap_cny))
    free = min(gross, sum(prices[: allowance.left_min], Fraction()))
    return gross, free, min(Fraction(fund.share_percent, 100) * (gross - free), Fraction(fund.left_cny))


def rounded(amount: Fraction) -> Decimal:
    """Half up, to the fen."""
    with localcontext() as context:
        context.prec = 60
        exact = Decimal(amount.numerator) / Decimal(amount.denominator)
        return exact.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)


def _by_kind(category: Callable[[int], Category], start_s: int, end_s: int) -> Counter[Category]:
    """How many seconds are of which kind; the kinds are told by the categories that they are named after."""
    same = {Category.UNKNOWN: Category.IDLE, Category.COOLDOWN: Category.MAINTENANCE}
    told = [category(second) for second in range(start_s, end_s)]
    return Counter(same.get(each, each) for each in told)


def _percent(category: Category, tariff: Tariff) -> int:
    percents = {
        Category.USE: tariff.use_percent,
        Category.OVERRUN: tariff.overrun_percent,
        Category.MAINTENANCE: 0,
        Category.COOLDOWN: 0,
    }
    return percents.get(category, tariff.idle_percent)


def _band_percent(local: datetime, bands: tuple[Band, ...]) -> int:
    minute, today = 60 * local.hour + local.minute, local.isoweekday()
    yesterday = (local.date() - timedelta(days=1)).isoweekday()
    for band in bands:
        past_midnight = band.until_minute <= band.from_minute
        until = 1440 if past_midnight else band.until_minute
        if today in band.weekdays and band.from_minute <= minute < until:
            return band.percent
        if past_midnight and yesterday in band.weekdays and minute < band.until_minute:
            return band.percent
    return 100
