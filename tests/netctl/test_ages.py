"""Ages are short, never negative, and say so where they are not known."""

import time

import pytest

from isthmus.netctl import nodes
from isthmus.netctl.ages import ago
from isthmus.netctl.listing import columns

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400
NOW_S = 1_764_100_799  # 2025-11-25T19:59:59Z


def moment(age_s: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW_S - age_s))


@pytest.mark.parametrize(
    ("age_s", "text"),
    [
        (-DAY_S, "0s ago"),
        (-1, "0s ago"),
        (0, "0s ago"),
        (12, "12s ago"),
        (MINUTE_S - 1, "59s ago"),
        (MINUTE_S, "1m ago"),
        (5 * MINUTE_S + 59, "5m ago"),
        (HOUR_S - 1, "59m ago"),
        (HOUR_S, "1h ago"),
        (HOUR_S + MINUTE_S, "1h1m ago"),
        (3 * HOUR_S + 12 * MINUTE_S + 30, "3h12m ago"),
        (DAY_S - 1, "23h59m ago"),
        (DAY_S, "1d ago"),
        (2 * DAY_S + 4 * HOUR_S + 59 * MINUTE_S, "2d4h ago"),
        (400 * DAY_S, "400d ago"),
    ],
)
def test_an_age_has_at_most_two_parts_and_none_that_is_zero(age_s: int, text: str) -> None:
    assert ago(moment(age_s), NOW_S) == text
    assert ago(moment(age_s), NOW_S + 0.9) == text


def test_what_was_never_told_is_unknown() -> None:
    assert ago("", NOW_S) == "unknown"


def test_a_living_nodes_contact_is_now_whatever_was_told() -> None:
    assert [nodes.contact({"isAlive": True, "lastContact": each}) for each in ("", moment(0))] == ["now", "now"]
    assert nodes.contact({"isAlive": False}) == "unknown"


def test_a_master_of_an_older_version_leaves_the_new_columns_empty() -> None:
    shown = columns(nodes.STATUS_COLUMNS, [{"name": "a", "isAlive": True, "inSync": False, "version": "0.0.1"}])
    assert shown.splitlines()[-1].split() == ["a", "0.0.1", "0", "0", "now", "not", "in", "sync"]
