"""The kinds of objects that a file may hold: what they are called there, and their fields, which are REST's.

The table stands in the order in which objects can be created: none names one of a later kind. The values here are named
tuples, as in all of netctl.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from ipaddress import ip_address, ip_interface, ip_network
from typing import NamedTuple

Value = str | int | list[str]
Fields = Mapping[str, Value]  # by REST's names; what is zero is left out


RECORDS = "/isthmus/v1/"  # what the keys of all records begin with


class Form(Enum):
    """What the value of a field is."""

    TEXT = "a text"
    NUMBER = "a whole number"
    TEXTS = "a list of texts"


class Name(NamedTuple):
    """A part of an object's key: its word in a file, its field in REST, and the kind that it names, if another's."""

    word: str
    field: str
    target: str = ""


def _as_it_is(value: Value) -> Value:
    return value


class Field(NamedTuple):
    """A field of a kind.

    `target` is the kind of object that its text, or each of them, names. `default` is what netmaster takes where it is
    absent, `normal` makes of a value what netmaster answers for it. Where it `is_fixed`, it cannot be changed.
    """

    name: str
    form: Form = Form.TEXT
    target: str = ""
    is_fixed: bool = False
    default: Value = ""
    normal: Callable[[Value], Value] = _as_it_is


class Kind(NamedTuple):
    """A kind of object. Without `names` there is one object of it, which is never created nor removed."""

    word: str
    collection: str
    names: tuple[Name, ...]
    fields: tuple[Field, ...] = ()

    @property
    def has_tenant(self) -> bool:
        """Whether its objects belong to a tenant, or are one."""
        return self.word == "tenant" or any(name.target == "tenant" for name in self.names)

    def field(self, name: str) -> Field | None:
        """The field of that name."""
        return next((each for each in self.fields if each.name == name), None)


def _canonical(parse: Callable[[str], object]) -> Callable[[Value], Value]:
    """The way that an address is written by netmaster; what is none stays, to be refused there."""

    def normal(value: Value) -> Value:
        try:
            return str(parse(str(value)))
        except ValueError:
            return value

    return normal


def _sorted(value: Value) -> Value:
    return sorted(set(value)) if isinstance(value, list) else value


def _upper(value: Value) -> Value:
    return [each.upper() for each in value] if isinstance(value, list) else value


def _unless(usual: str) -> Callable[[Value], Value]:
    """Nothing where it is what netmaster leaves out of its answers."""
    return lambda value: "" if value == usual else value


_address, _interface, _subnet = _canonical(ip_address), _canonical(ip_interface), _canonical(ip_network)
_TENANT = Name("tenant", "tenantName", "tenant")


def _fixed(name: str, target: str = "", default: Value = "", normal: Callable[[Value], Value] = _as_it_is) -> Field:
    return Field(name, Form.TEXT, target, is_fixed=True, default=default, normal=normal)


def _fixed_number(name: str, default: int = 0) -> Field:
    return Field(name, Form.NUMBER, is_fixed=True, default=default)


KINDS = (
    Kind("tenant", "tenants", (Name("name", "tenantName"),), (_fixed("defaultNetwork"),)),
    Kind(
        "global",
        "globals",
        (),
        (
            Field("arpMode"),
            Field("fwdMode"),
            Field("pvtSubnet", normal=_subnet),
            Field("vlans"),
            Field("vxlans"),
        ),
    ),
    Kind("policy", "policys", (_TENANT, Name("name", "policyName"))),
    Kind(
        "network",
        "networks",
        (_TENANT, Name("name", "networkName")),
        (
            _fixed("encap"),
            _fixed("subnet"),
            _fixed("gateway", normal=_address),
            _fixed("ipv6Subnet"),
            _fixed("ipv6Gateway", normal=_address),
            _fixed_number("pktTag"),
            _fixed("nwType", default="data"),
            _fixed("multicast", normal=_unless("flood")),
            _fixed("cfgdTag"),
        ),
    ),
    Kind(
        "netprofile",
        "netprofiles",
        (_TENANT, Name("name", "profileName")),
        (Field("bandwidth"), Field("burst", Form.NUMBER), Field("DSCP", Form.NUMBER)),
    ),
    Kind(
        "group",
        "endpointGroups",
        (_TENANT, Name("name", "groupName")),
        (
            _fixed("networkName", "network"),
            Field("policies", Form.TEXTS, "policy"),
            Field("netProfile", target="netprofile"),
            _fixed("ipPool"),
            _fixed("ipv6Pool"),
            _fixed("cfgdTag"),
        ),
    ),
    Kind(
        "rule",
        "rules",
        (_TENANT, Name("policy", "policyName", "policy"), Name("name", "ruleId")),
        (
            _fixed("direction"),
            _fixed_number("priority", 1),
            _fixed("fromEndpointGroup", "group"),
            _fixed("fromNetwork", "network"),
            _fixed("fromIpAddress"),
            _fixed("toEndpointGroup", "group"),
            _fixed("toNetwork", "network"),
            _fixed("toIpAddress"),
            _fixed("protocol"),
            _fixed_number("port"),
            _fixed("action", default="allow"),
        ),
    ),
    Kind(
        "service",
        "serviceLBs",
        (_TENANT, Name("name", "serviceName")),
        (
            _fixed("networkName", "network"),
            Field("ipAddress", normal=_address),
            Field("selectors", Form.TEXTS, normal=_sorted),
            Field("ports", Form.TEXTS, normal=_upper),
        ),
    ),
    Kind(
        "app-profile",
        "appProfiles",
        (_TENANT, Name("name", "appProfileName")),
        (Field("endpointGroups", Form.TEXTS, "group"),),
    ),
    Kind(
        "bgp",
        "Bgps",
        (Name("name", "hostname"),),
        (
            Field("routerip", normal=_interface),
            Field("as"),
            Field("neighbor", normal=_address),
            Field("neighbor-as"),
        ),
    ),
)
KINDS_BY_WORD = {kind.word: kind for kind in KINDS}


class Item(NamedTuple):
    """An object, from a file or from netmaster: the parts of its key in order, and its fields as netmaster has them.

    `place` is where it stands in a file.
    """

    kind: Kind
    key: tuple[str, ...]
    fields: Fields
    place: str = ""

    @property
    def url_key(self) -> str:
        """Its key in REST."""
        return ":".join(self.key) or self.kind.word

    @property
    def record_key(self) -> str:
        """Where its record stands in etcd; the kinds have the same words there."""
        return "/".join((RECORDS + self.kind.word, *self.key))

    @property
    def title(self) -> str:
        """What it is called where one speaks of it."""
        return f"{self.kind.word} {':'.join(self.key)}".rstrip()

    @property
    def identity(self) -> tuple[str, str]:
        """No other object has the same."""
        return self.kind.word, self.url_key

    @property
    def tenant(self) -> str:
        """The tenant that it belongs to, or is; empty where it is of the whole cluster."""
        return self.key[0] if self.kind.has_tenant else ""

    @property
    def targets(self) -> list[tuple[str, str]]:
        """The identities of the objects that it names."""
        own = dict(zip((name.word for name in self.kind.names), self.key, strict=True))
        found = [(name.target, self._key_of(name.target, own[name.word])) for name in self.kind.names if name.target]
        for field in self.kind.fields:
            value = self.fields.get(field.name)
            if field.target and value:
                names = value if isinstance(value, list) else [str(value)]
                found += [(field.target, self._key_of(field.target, name)) for name in names]
        return found

    def _key_of(self, target: str, name: str) -> str:
        return name if target == "tenant" else f"{self.tenant}:{name}"

    @property
    def body(self) -> dict[str, Value]:
        """What to post: its key's parts and its fields."""
        names = {name.field: part for name, part in zip(self.kind.names, self.key, strict=True)}
        return {**(names or {"name": self.url_key}), **self.fields}


def normalized(kind: Kind, fields: Mapping[str, Value]) -> dict[str, Value]:
    """The fields in the table's order and as netmaster answers them: defaults filled in, zero values left out."""
    found = {each.name: each.normal(fields.get(each.name) or each.default) for each in kind.fields}
    return {name: value for name, value in found.items() if value}
