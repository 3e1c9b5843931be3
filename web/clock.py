"""Local time of the site."""

from datetime import date, datetime

from twin.interface import Service


def local_today(service: Service) -> date:
    """Today's date where the instruments stand."""
    return datetime.fromtimestamp(service.now_ms() / 1000, service.timezone).date()
