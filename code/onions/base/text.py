"""Words for numbers."""


def format_count(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, as in "1 page" or "2 pages". `plural` defaults to noun + s."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
