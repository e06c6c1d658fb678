"""Addresses: their text, how a network's are divided among its groups, and which one is given next.

Each pool belongs to its group alone; a member of a group with a pool gets addresses of that pool only, everybody else
only what is in no pool.
"""

from isthmus.core.ipam.listing import (
    allocated_text,
    available_text,
    group_allocated_text,
    group_available_text,
    ranges_text,
)
from isthmus.core.ipam.shares import Share, check_pool, check_wish, next_free, overlaps, share_of, usable
from isthmus.core.ipam.text import parse_pool, parse_pool_v6, parse_subnet, parse_subnet_v6
from isthmus.core.runs import size

__all__ = [
    "Share",
    "allocated_text",
    "available_text",
    "check_pool",
    "check_wish",
    "group_allocated_text",
    "group_available_text",
    "next_free",
    "overlaps",
    "parse_pool",
    "parse_pool_v6",
    "parse_subnet",
    "parse_subnet_v6",
    "ranges_text",
    "share_of",
    "size",
    "usable",
]
