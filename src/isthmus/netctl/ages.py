"""How long ago something was, in few letters."""

import time
from calendar import timegm

UNKNOWN = "unknown"
_FORM = "%Y-%m-%dT%H:%M:%SZ"  # RFC 3339 in UTC, as netmaster writes it


def ago(moment: str, now_s: float) -> str:
    """As in `12s ago`, `5m ago`, `3h12m ago`, `2d4h ago`; `unknown` for no moment.

    The moment is by another host's clock: one that goes ahead makes it 0 seconds ago, never less.
    """
    if not moment:
        return UNKNOWN
    return f"{_text(max(0, int(now_s) - timegm(time.strptime(moment, _FORM))))} ago"


def _text(age_s: int) -> str:
    """Days and hours, hours and minutes, minutes, or seconds; without a second part that is none."""
    minutes, hours, days = age_s // 60, age_s // 3600, age_s // 86400
    if days:
        return f"{days}d{_part(hours % 24, 'h')}"
    if hours:
        return f"{hours}h{_part(minutes % 60, 'm')}"
    return f"{minutes}m" if minutes else f"{age_s}s"


def _part(count: int, unit: str) -> str:
    return f"{count}{unit}" if count else ""
