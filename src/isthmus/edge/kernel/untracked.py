"""Our tunnel's own packets, kept out of connection tracking.

Docker's NAT rules switch tracking on for a whole host. The tunnel chooses a source port for each connection inside, so
each would take an entry of its own in the host's table, besides the look-up for every packet.
"""

from isthmus.core.errors import KernelRefusedError
from isthmus.edge.nft import applied

TABLE = "isthmus-underlay"

# Priority -300 is "raw": before tracking, at -200.
_RULES = """
add table ip {table}
delete table ip {table}
add table ip {table}
add chain ip {table} output {{ type filter hook output priority -300; }}
add chain ip {table} prerouting {{ type filter hook prerouting priority -300; }}
add rule ip {table} output udp dport {port} notrack
add rule ip {table} prerouting udp dport {port} notrack
"""
_HOOKS = (
    "type filter hook output priority raw; policy accept;",
    "type filter hook prerouting priority raw; policy accept;",
)
_WHAT = f"nft table {TABLE}"


def add_untracked(port: int) -> None:
    """Leave packets to this UDP port untracked; adding twice equals adding once, and another port replaces it.

    Raises:
        KernelRefusedError: nft would not have it.
    """
    with applied(_RULES.format(table=TABLE, port=port), _WHAT):
        pass


def remove_untracked() -> None:
    """Track as before; removing what is gone succeeds."""
    with applied(f"add table ip {TABLE}\ndelete table ip {TABLE}", _WHAT):
        pass


def is_untracked(port: int) -> bool:
    """Whether both chains are there, with the rule for this port and no other."""
    try:
        with applied(f"list table ip {TABLE}", _WHAT) as listed:
            lines = [line.strip() for line in listed.splitlines()]
    except KernelRefusedError:  # there is no such table
        return False
    told = [line for line in lines if line and line != "}" and not line.startswith(("table ", "chain "))]
    rule = f"udp dport {port} notrack"
    return sorted(told) == sorted([*_HOOKS, rule, rule])
