"""The rule of each kind of field: the check of a request's value, and what the API's description says of it.

Source: spec 2.6.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Interface, IPv6Address
from typing import Annotated, Any

from pydantic import AfterValidator, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

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

ADDRESSES_FORM = "[0-9a-fA-F:.]+(?:/[0-9]{1,3}|-[0-9a-fA-F:.]+)?"
NAME_FORM = "letters, digits and inner dashes, in parts joined by dots"
_PART_FORM = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_PART = re.compile(_PART_FORM, re.ASCII)
_PROTOCOL = re.compile(r"tcp|udp|icmp|[0-9]{1,3}", re.ASCII)
_BANDWIDTH = re.compile(r"[1-9][0-9]{0,17} ?[kKmMgG](?:b|B|bps|Bps)?", re.ASCII)
_LENGTH = re.compile(r"[0-9]{1,2}", re.ASCII)
_AS_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)
_GREATEST_AS = 2**32 - 1  # RFC 6793


@dataclass(frozen=True)
class FieldRule(AfterValidator):
    """A check of a value, and the JSON schema of those that pass; the schema may be the wider one."""

    schema: tuple[tuple[str, Any], ...] = ()

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The schema of the value, narrowed."""
        return handler(core) | dict(self.schema)


def _rule(check: Callable[[Any], Any], **schema: Any) -> FieldRule:
    return FieldRule(check, tuple(schema.items()))


@lru_cache(2**13)  # answers with many objects say the same names again and again
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


def one_of(*words: str) -> FieldRule:
    """A text that is one of these, or empty."""

    def check(value: str) -> str:
        if value and value not in words:
            raise ValueError(f"has an invalid format: it is {' or '.join(words)}")
        return value

    return _rule(check, enum=["", *map(str, words)])


def _within(first: int, last: int, note: str = "") -> FieldRule:
    def check(value: int) -> int:
        if not first <= value <= last:
            raise ValueError(f"is out of bounds: {first} to {last} are allowed{note}")
        return value

    return _rule(check, minimum=first, maximum=last)


def _ipv4(value: str) -> str:
    return _address(value, IPv4Address, "an IPv4 address such as 10.1.1.254")


def _ipv6(value: str) -> str:
    return _address(value, IPv6Address, "an IPv6 address such as 2001:db8::1")


def _router(value: str) -> str:
    if value and not _LENGTH.fullmatch(value.partition("/")[2]):
        raise ValueError("has an invalid format: it takes an IPv4 address and a length such as 50.1.1.2/24")
    return _address(value, IPv4Interface, "an IPv4 address and a length such as 50.1.1.2/24")


def _address(value: str, kind: Callable[[str], object], wanted: str) -> str:
    refusal = ValueError(f"has an invalid format: it takes {wanted}")
    if "%" in value:  # a zone is a word of one host's (RFC 4007), and would make two texts of one address
        raise refusal
    try:
        if value:
            kind(value)
    except ValueError:
        raise refusal from None
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
    return value


def _as_number(value: str) -> str:
    if value and not (_AS_NUMBER.fullmatch(value) and 1 <= int(value) <= _GREATEST_AS):
        raise ValueError(f"has an invalid format: it takes a number of 1 to {_GREATEST_AS}")
    return value


def _few(value: list[str]) -> list[str]:
    if len(value) > MOST_REFERENCES:
        raise ValueError(f"is too long: {len(value)} elements, at most {MOST_REFERENCES} are allowed")
    return value


def _distinct(value: list[str]) -> list[str]:
    if len(set(value)) < len(value):
        raise ValueError("names something twice")
    if "" in value:
        raise ValueError("names nothing in one of its elements")
    return value


def _short(value: str) -> str:
    if len(value) > LONG_NAME_LENGTH:
        raise ValueError(f"is too long: {len(value)} characters, at most {LONG_NAME_LENGTH} are allowed")
    return value


def _empty_or(form: str) -> str:
    return f"^(?:{form})?$"


_NAME = _empty_or(rf"{_PART_FORM}(?:\.{_PART_FORM})*")
_V4 = "[0-9]{1,3}(?:[.][0-9]{1,3}){3}"
_V6 = "[0-9a-fA-F:.]+"

Name = Annotated[
    str,
    _rule(_name, pattern=_NAME, maxLength=NAME_LENGTH),
    Field(description=f"At most {NAME_LENGTH} {NAME_FORM}."),
]
LongName = Annotated[
    str,
    _rule(_long_name, pattern=_NAME, maxLength=LONG_NAME_LENGTH),
    Field(description=f"At most {LONG_NAME_LENGTH} {NAME_FORM}."),
]
Names = Annotated[
    list[Name],
    _rule(_few, maxItems=MOST_REFERENCES),
    _rule(_distinct, uniqueItems=True),
    Field(description=f"At most {MOST_REFERENCES} names."),
]
_Word = Annotated[str, _rule(_short, maxLength=LONG_NAME_LENGTH)]
Selectors = Annotated[
    list[Annotated[_Word, Field(json_schema_extra={"pattern": "^[^=]+=[^=]+$"})]],
    _rule(_few, maxItems=MOST_REFERENCES, minItems=1),
]
Ports = Annotated[
    list[Annotated[_Word, Field(json_schema_extra={"pattern": "^[0-9]{1,5}:[0-9]{1,5}:(?:tcp|TCP|udp|UDP)$"})]],
    _rule(_few, maxItems=MOST_REFERENCES, minItems=1),
]
Label = Annotated[str, _rule(_label, pattern=_NAME, maxLength=LABEL_LENGTH)]
Ipv4 = Annotated[str, _rule(_ipv4, pattern=_empty_or(_V4))]
Ipv6 = Annotated[str, _rule(_ipv6, pattern=_empty_or(_V6))]
Router = Annotated[str, _rule(_router, pattern=_empty_or(f"{_V4}/[0-9]{{1,2}}"))]
TagNumber = Annotated[int, _within(0, GREATEST_TAG, ", 0 being any")]
Port = Annotated[int, _within(0, GREATEST_PORT, ", 0 being any")]
Priority = Annotated[int, _within(0, GREATEST_PRIORITY, ", 0 being 1")]
Dscp = Annotated[int, _within(0, GREATEST_DSCP, ", 0 being none")]
Burst = Annotated[int, _within(0, GREATEST_BURST_KILOBYTES, ", 0 being none"), _rule(_burst, **{"not": {"const": 1}})]
Protocol = Annotated[str, _rule(_protocol, pattern=_empty_or(_PROTOCOL.pattern))]
Bandwidth = Annotated[str, _rule(_bandwidth, pattern=_empty_or(_BANDWIDTH.pattern))]
AsNumber = Annotated[str, _rule(_as_number, pattern=_empty_or(_AS_NUMBER.pattern))]
Subnet = Annotated[str, Field(json_schema_extra={"pattern": _empty_or(f"{_V4}(?:-{_V4})?/[0-9]{{1,2}}")})]
SubnetV6 = Annotated[str, Field(json_schema_extra={"pattern": _empty_or(f"{_V6}/[0-9]{{1,3}}")})]
Pool = Annotated[str, Field(json_schema_extra={"pattern": _empty_or(f"{_V4}-{_V4}")})]
PoolV6 = Annotated[str, Field(json_schema_extra={"pattern": _empty_or(f"{_V6}-{_V6}")})]
Addresses = Annotated[str, Field(json_schema_extra={"pattern": _empty_or(ADDRESSES_FORM)})]
TagRange = Annotated[str, Field(json_schema_extra={"pattern": _empty_or("[0-9]{1,8}-[0-9]{1,8}")})]
PrivateSubnet = Annotated[str, Field(json_schema_extra={"pattern": _empty_or("[0-9]{1,3}[.][0-9]{1,3}[.]0[.]0/16")})]
