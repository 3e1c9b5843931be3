"""The few words that a controller shows, in Chinese and English: its screen has no language to choose."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from twin.permission import AccessCode


def warning_words(slot_end_ms: int, zone: ZoneInfo) -> str:
    """The slot ends soon."""
    moment = datetime.fromtimestamp(slot_end_ms / 1000, UTC).astimezone(zone)
    return f"预约 {moment:%H:%M} 结束 · Booking ends {moment:%H:%M}"


def refused_words(code: AccessCode | None) -> str:
    """Why a card is refused; None: nobody knows the card."""
    return f"未授权 · Refused: {code.value if code else 'UNKNOWN_CARD'}"


def funds_words(percent: int) -> str:
    """A session has used up so much of what its project had left."""
    return f"已用经费余额 {percent}% · {percent}% of the funds used"
