"""The rule of each kind of field. Source: spec 2.6."""

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Interface, IPv6Address
from typing import Annotated

from pydantic import AfterValidator, Field

NAME_LENGTH = 64
LABEL_LENGTH = 128
LONG_NAME_LENGTH = 256
GREATEST_TAG = 16777216  # Contiv's; the ranges of `globals` are the real limit
GREATEST_PORT = 65535
GREATEST_DSCP = 63  # six bits; RFC 2474
GREATEST_BURST_KILOBYTES = 10486
GREATEST_PRIORITY = 100
GREATEST_PROTOCOL = 255  # eight bits; RFC 791
MOST_REFERENCES = 100  # each is a guard of one transaction, and etcd takes 128

NAME_FORM = "letters, digits and inner dashes, in parts joined by dots"
_PART = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?", re.ASCII)
_PROTOCOL = re.compile(r"tcp|udp|icmp|[0-9]{1,3}", re.ASCII)
_BANDWIDTH = re.compile(r"[1-9][0-9]* ?[kKmMgG](?:b|B|bps|Bps)?", re.ASCII)
_AS_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)
_GREATEST_AS = 2**32 - 1  # RFC 6793


def _name(value: str, *, limit: int = NAME_LENGTH) -> str:
    if len(value) > limit:
        raise ValueError(f"is too long: {len(value)} characters, at most {limit} are allowed")
    if value and not all(_PART.fullmatch(part) for part in value.split(".")):
        raise ValueError(f"has an invalid format: it takes {NAME_FORM}")
    return value


def _label(value: str) -> str:
    return _name(value, limit=LABEL_LENGTH)


def _long_name(value: str) -> str:
    return _name(value, limit=LONG_NAME_LENGTH)


def one_of(*words: str) -> AfterValidator:
    """A text that is one of these, or empty."""

    def check(value: str) -> str:
        if value and value not in words:
            raise ValueError(f"has an invalid format: it is {' or '.join(words)}")
        return value

    return AfterValidator(check)


def _within(first: int, last: int, note: str = "") -> Callable[[int], int]:
    def check(value: int) -> int:
        if not first <= value <= last:
            raise ValueError(f"is out of bounds: {first} to {last} are allowed{note}")
        return value

    return check


def _ipv4(value: str) -> str:
    return _address(value, IPv4Address, "an IPv4 address such as 10.1.1.254")


def _ipv6(value: str) -> str:
    return _address(value, IPv6Address, "an IPv6 address such as 2001:db8::1")


def _router(value: str) -> str:
    if value and "/" not in value:
        raise ValueError("has an invalid format: it takes an IPv4 address and a length such as 50.1.1.2/24")
    return _address(value, IPv4Interface, "an IPv4 address and a length such as 50.1.1.2/24")


def _address(value: str, kind: Callable[[str], object], wanted: str) -> str:
    try:
        if value:
            kind(value)
    except ValueError:
        raise ValueError(f"has an invalid format: it takes {wanted}") from None
    return value


def _protocol(value: str) -> str:
    is_number = value.isdecimal()
    if value and not _PROTOCOL.fullmatch(value):
        raise ValueError("has an invalid format: it is tcp, udp, icmp or a number")
    if is_number and int(value) > GREATEST_PROTOCOL:
        raise ValueError(f"is out of bounds: 0 to {GREATEST_PROTOCOL} are allowed")
    return value


def _bandwidth(value: str) -> str:
    if value and not _BANDWIDTH.fullmatch(value):
        raise ValueError("has an invalid format: it takes a whole number and k, m or g, such as 10Mbps")
    return value


def _burst(value: int) -> int:
    if value == 1:
        raise ValueError("is too small: a burst has more than 1500 bytes, so 2 at least")
    return _within(0, GREATEST_BURST_KILOBYTES, ", 0 being none")(value)


def _as_number(value: str) -> str:
    if value and not (_AS_NUMBER.fullmatch(value) and 1 <= int(value) <= _GREATEST_AS):
        raise ValueError(f"has an invalid format: it takes a number of 1 to {_GREATEST_AS}")
    return value


def _few(value: list[str]) -> list[str]:
    if len(value) > MOST_REFERENCES:
        raise ValueError(f"is too long: {len(value)} elements, at most {MOST_REFERENCES} are allowed")
    if len(set(value)) < len(value):
        raise ValueError("names something twice")
    return value


Name = Annotated[str, AfterValidator(_name), Field(description=f"At most {NAME_LENGTH} {NAME_FORM}.")]
LongName = Annotated[str, AfterValidator(_long_name), Field(description=f"At most {LONG_NAME_LENGTH} {NAME_FORM}.")]
Names = Annotated[list[Name], AfterValidator(_few), Field(description=f"At most {MOST_REFERENCES} names.")]
Label = Annotated[str, AfterValidator(_label)]
Ipv4 = Annotated[str, AfterValidator(_ipv4)]
Ipv6 = Annotated[str, AfterValidator(_ipv6)]
Router = Annotated[str, AfterValidator(_router)]
TagNumber = Annotated[int, AfterValidator(_within(0, GREATEST_TAG, ", 0 being any"))]
Port = Annotated[int, AfterValidator(_within(0, GREATEST_PORT, ", 0 being any"))]
Priority = Annotated[int, AfterValidator(_within(0, GREATEST_PRIORITY, ", 0 being 1"))]
Dscp = Annotated[int, AfterValidator(_within(0, GREATEST_DSCP, ", 0 being none"))]
Burst = Annotated[int, AfterValidator(_burst)]
Protocol = Annotated[str, AfterValidator(_protocol)]
Bandwidth = Annotated[str, AfterValidator(_bandwidth)]
AsNumber = Annotated[str, AfterValidator(_as_number)]
