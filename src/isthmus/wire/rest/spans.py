"""The addresses that a rule may name."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from isthmus.core.errors import InvalidError
from isthmus.core.model import Address, Span
from isthmus.wire.rest.fields import ADDRESSES_FORM

_FORM = "an address, ADDRESS/LEN, or ADDRESS-ADDRESS"
_LETTERS = re.compile(ADDRESSES_FORM, re.ASCII)  # so neither a zone nor a netmask
_LAST_OCTET = re.compile(r"[0-9]{1,3}", re.ASCII)


def parse_span(text: str) -> Span:
    """`10.1.1.1`, `10.1.0.0/16`, `10.1.1.1-10.1.1.9`, `10.1.1.1-9`, or the same of IPv6.

    Raises:
        InvalidError: another form, or a range that ends before it begins.

    Source: spec 2.6 "rule from/toIpAddress".
    """
    refusal = InvalidError(f'address "{text}" has not the form of {_FORM}')
    if not _LETTERS.fullmatch(text):
        raise refusal
    first_text, dash, last_text = text.partition("-")
    try:
        first, last = _range(first_text, last_text) if dash else _prefix(text)
    except ValueError:
        raise refusal from None
    if first.version != last.version or int(last) < int(first):
        raise InvalidError(f'address "{text}": the range ends before it begins')
    return Span(text, first, last)


def _prefix(text: str) -> tuple[Address, Address]:
    if "/" not in text:
        return ip_address(text), ip_address(text)
    prefix = ip_network(text, strict=False)
    return prefix.network_address, prefix.broadcast_address


def _range(first_text: str, last_text: str) -> tuple[Address, Address]:
    first: IPv4Address | IPv6Address = ip_address(first_text)
    if isinstance(first, IPv4Address) and _LAST_OCTET.fullmatch(last_text):
        last_text = f"{first_text.rpartition('.')[0]}.{last_text}"
    return first, ip_address(last_text)
