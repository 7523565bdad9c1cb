"""Words for numbers and dates."""

from datetime import date


def format_count(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, as in "1 page" or "2 pages". `plural` defaults to noun + s."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def format_date(iso_time: str) -> str:
    """Return the date of an ISO time, as in 24 November 2026."""
    day = date.fromisoformat(iso_time[:10])
    return f"{day.day} {day:%B %Y}"
