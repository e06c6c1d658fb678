"""The agent's command line, and what it means on this host."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from isthmus.core.errors import InvalidError
from isthmus.core.model import VXLAN_PORT, NodeName
from isthmus.edge.log import LEVELS
from isthmus.edge.store import TlsFiles
from isthmus.wire.endpoints import Endpoints, parse_endpoints
from isthmus.wire.goflags import Flag, Kind, Parsed, parse

DEFAULT_STORE = "etcd://127.0.0.1:2379"

FLAGS = (
    Flag(
        ("cluster-store", "etcd-endpoints", "etcd"),
        "etcd's members, as etcd://a:2379,b or etcds://...",
        default=DEFAULT_STORE,
    ),
    Flag(("etcd-ca",), "with etcds://: PEM file of the authority that signed etcd's certificates"),
    Flag(("etcd-cert",), "with etcds://: PEM file of our certificate"),
    Flag(("etcd-key",), "with etcds://: PEM file of our key"),
    Flag(("host-label", "host"), "this node's name (default: the host's name)"),
    Flag(
        ("vtep-ip",),
        "the address that tunnels end at (default: what the host's name resolves to, else the default route's)",
    ),
    Flag(("vxlan-port",), "UDP port of the tunnels, the same on every node", Kind.NUMBER, VXLAN_PORT),
    Flag(("vlan-if", "vlan-uplinks"), "uplinks of VLAN networks, as eth2,eth3"),
    Flag(("plugin-mode", "mode"), "who runs the containers: docker", default="docker"),
    Flag(("docker-socket",), "where the engine listens", default="/var/run/docker.sock"),
    Flag(("plugin-socket",), "where we listen for the engine", default="/run/docker/plugins/netplugin.sock"),
    Flag(("log-level",), "debug, info, warn or error", default="info"),
    Flag(("json-log", "use-json-log"), "log as JSON lines", Kind.SWITCH),
    Flag(("debug",), "the same as --log-level debug", Kind.SWITCH),
    Flag(("version",), "print the version and end", Kind.SWITCH),
    Flag(("help", "h"), "print this and end", Kind.SWITCH),
)
# Contiv's flags that mean nothing here; taken, so that its unit files go on working.
IGNORED = (
    Flag(("ctrl-ip",), "ignored"),
    Flag(("netmode", "network-mode"), "ignored: both encapsulations at once"),
    Flag(("fwdmode", "forward-mode"), "ignored: bridge"),
    Flag(("config",), "ignored"),
    Flag(("consul-endpoints",), "ignored"),
    Flag(("syslog", "use-syslog"), "ignored: logs go to stderr", Kind.SWITCH),
    Flag(("syslog-url",), "ignored"),
)
_LONGEST_LINK_NAME = 15  # IFNAMSIZ, with the zero byte; linux/if.h
_PORTS = range(1, 65536)


@dataclass(frozen=True, slots=True)
class Options:
    """What the agent was told, in full."""

    node: NodeName
    endpoints: Endpoints
    tls: TlsFiles | None
    vtep: IPv4Address | None  # None: to be found on this host
    vxlan_port: int
    uplinks: tuple[str, ...]
    docker_socket: Path
    plugin_socket: Path
    log_level: str
    is_json_log: bool


def parse_words(words: Sequence[str]) -> Parsed:
    """Take a command line apart.

    Raises:
        InvalidError: an option that we do not have, or a value of the wrong kind.
    """
    parsed = parse((*FLAGS, *IGNORED), words)
    if parsed.positionals:
        raise InvalidError(f"netplugin takes options only, not {parsed.positionals[0]!r}")
    return parsed


def read_options(parsed: Parsed, host_name: str) -> Options:
    """The options of a command line on a host.

    Raises:
        InvalidError: a value that means nothing; the text names the option.
    """
    if parsed.text("plugin-mode") != "docker":
        raise InvalidError(f"-plugin-mode {parsed.text('plugin-mode')}: only docker is known")
    level = "debug" if parsed.is_on("debug") else parsed.text("log-level").lower()
    if level not in LEVELS:
        raise InvalidError(f"-log-level {level}: one of {', '.join(LEVELS)} is wanted")
    port = parsed.number("vxlan-port")
    if port not in _PORTS:
        raise InvalidError(f"-vxlan-port {port}: a UDP port is 1 to 65535")
    return Options(
        node=NodeName(parsed.text("host-label") or host_name),
        endpoints=parse_endpoints(parsed.text("cluster-store")),
        tls=_tls(parsed),
        vtep=_vtep(parsed.text("vtep-ip")),
        vxlan_port=port,
        uplinks=_uplinks(parsed.text("vlan-if")),
        docker_socket=Path(parsed.text("docker-socket")),
        plugin_socket=Path(parsed.text("plugin-socket")),
        log_level=level,
        is_json_log=parsed.is_on("json-log"),
    )


def address_of_host_name(host_name: str) -> IPv4Address | None:
    """What this host's name resolves to, loopback left out."""
    try:
        found = socket.getaddrinfo(host_name, None, socket.AF_INET, socket.SOCK_DGRAM)
    except OSError:
        return None
    addresses = (IPv4Address(str(each[4][0])) for each in found)
    return next((address for address in addresses if not address.is_loopback), None)


def _tls(parsed: Parsed) -> TlsFiles | None:
    authority, certificate, key = (parsed.text(name) for name in ("etcd-ca", "etcd-cert", "etcd-key"))
    if not authority:
        return None
    return TlsFiles(Path(authority), Path(certificate) if certificate else None, Path(key) if key else None)


def _uplinks(text: str) -> tuple[str, ...]:
    names = tuple(filter(None, (each.strip() for each in text.split(","))))
    for name in names:
        if len(name) > _LONGEST_LINK_NAME or "/" in name or any(map(str.isspace, name)):
            raise InvalidError(
                f"-vlan-if {name}: a device's name has 1 to {_LONGEST_LINK_NAME} characters, no '/' or space"
            )
    if len(set(names)) < len(names):
        raise InvalidError(f"-vlan-if {text}: it names a device twice")
    return names


def _vtep(text: str) -> IPv4Address | None:
    try:
        return IPv4Address(text) if text else None
    except ValueError as error:
        raise InvalidError(f"-vtep-ip {text}: not an IPv4 address") from error
