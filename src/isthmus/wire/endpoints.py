"""The text of --cluster-store to the members of an etcd cluster.

`etcd://a:2379,b` speaks plainly, `etcds://a,b` over TLS; a member without a port has 2379, an IPv6 address
stands in brackets, and a text without a scheme is a plain one.
"""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from isthmus.core.errors import InvalidError

DEFAULT_PORT = 2379

_IS_TLS = {"etcd": False, "etcds": True}
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_MEMBER = re.compile(r"(?:\[(?P<six>[^]]*)\]|(?P<host>[^:\[\]]*))(?::(?P<port>[^:]*))?")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One member: a host name, or an address without brackets, and a port."""

    host: str
    port: int = DEFAULT_PORT

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The members of one cluster, the preferred first; never empty."""

    members: tuple[Endpoint, ...]
    is_tls: bool = False

    def __str__(self) -> str:
        return ("etcds://" if self.is_tls else "etcd://") + ",".join(map(str, self.members))


def parse_endpoints(text: str) -> Endpoints:
    """The members that `text` names; `str` of them is the text in full, and parses to the same.

    Each member may repeat the scheme, as in `etcd://a,etcd://b`.

    Raises:
        InvalidError: no member, an unknown or a second scheme, or a member that is not HOST[:PORT].
    """
    scheme, rest = _scheme_of(text)
    members = tuple(_member(part.strip().removeprefix(f"{scheme}://")) for part in rest.split(","))
    return Endpoints(members, _IS_TLS[scheme])


def _scheme_of(text: str) -> tuple[str, str]:
    scheme, mark, rest = text.strip().partition("://")
    if not mark:
        return "etcd", scheme
    if scheme not in _IS_TLS:
        raise InvalidError(f"cluster store {text!r}: the scheme must be etcd:// or etcds://")
    return scheme, rest


def _member(text: str) -> Endpoint:
    match = _MEMBER.fullmatch(text.removesuffix("/"))
    if match is None:
        raise InvalidError(f"cluster store: {text!r} is not HOST[:PORT] (an IPv6 address needs brackets)")
    host = _host(match["host"]) if match["six"] is None else _address6(match["six"])
    return Endpoint(host, _port(match["port"], text))


def _host(text: str) -> str:
    is_numeric = text.rpartition(".")[2].isdecimal()  # no top-level domain is a number, RFC 3696 section 2
    try:
        return str(IPv4Address(text))
    except AddressValueError as error:
        if is_numeric or len(text) > 253 or not _NAME.fullmatch(text):
            raise InvalidError(f"cluster store: {text!r} is neither a host name nor an address") from error
    return text


def _address6(text: str) -> str:
    try:
        address = IPv6Address(text)
    except AddressValueError as error:
        raise InvalidError(f"cluster store: [{text}] is not an IPv6 address") from error
    if address.scope_id is not None:
        raise InvalidError(f"cluster store: [{text}]: an address with a zone is not supported")
    return str(address)


def _port(text: str | None, member: str) -> int:
    if text is None:
        return DEFAULT_PORT
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise InvalidError(f"cluster store: the port of {member!r} must be 1 to 65535")
    return int(text)
