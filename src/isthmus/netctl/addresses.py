"""Checks of addresses that netctl makes before it asks netmaster."""

from ipaddress import IPv4Address, IPv4Interface, IPv6Address

from isthmus.netctl.command import UsageError


def check(kind: type[IPv4Address] | type[IPv6Address] | type[IPv4Interface], text: str, refusal: str) -> None:
    """See that a text is an address; an IPv4Interface has its length, too.

    Raises:
        UsageError: it is none; `refusal` says so.
    """
    try:
        kind(text)
        if kind is not IPv4Interface or "/" in text:
            return
    except ValueError:
        pass
    raise UsageError(f'{refusal}: "{text}"')
