"""netmaster's command line."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from isthmus.core.errors import InvalidError
from isthmus.wire.endpoints import DEFAULT_PORT as DEFAULT_ETCD_PORT
from isthmus.wire.endpoints import Endpoints, parse_endpoints
from isthmus.wire.goflags import Flag, Kind, Parsed, parse, usage

DEFAULT_PORT = 9999
DEFAULT_ROLLOUT_S = 10
DEFAULT_DATA_DIR = "/var/lib/isthmus/etcd"

FLAGS = (
    Flag(
        ("cluster-store", "etcd-endpoints", "etcd"),
        "etcd://HOST:PORT,... or etcds://...; without it a private etcd is started",
    ),
    Flag(("etcd-ca",), "PEM file of the authority that signed etcd's certificates"),
    Flag(("etcd-cert",), "PEM file of our own certificate for etcd"),
    Flag(("etcd-key",), "PEM file of its key"),
    Flag(("data-dir",), "where the private etcd keeps its data", default=DEFAULT_DATA_DIR),
    Flag(("etcd-port",), "on which port of 127.0.0.1 it serves", Kind.NUMBER, default=DEFAULT_ETCD_PORT),
    Flag(
        ("listen-url", "external-address"),
        "address and port to serve the REST API on",
        default=f"0.0.0.0:{DEFAULT_PORT}",
    ),
    Flag(
        ("rollout-wait",),
        "how many seconds a change to a network waits for the nodes to follow",
        Kind.NUMBER,
        default=DEFAULT_ROLLOUT_S,
    ),
    Flag(("log-level",), "debug, info, warn or error", default="info"),
    Flag(("json-log", "use-json-log"), "write the log as JSON", Kind.SWITCH),
    Flag(("debug",), "the same as -log-level debug", Kind.SWITCH),
    Flag(("version", "v"), "print the version", Kind.SWITCH),
    Flag(("help", "h"), "print this text", Kind.SWITCH),
)

IGNORED = (
    Flag(("cluster-mode", "plugin-mode", "mode"), "Contiv's; only docker is served"),
    Flag(("netmode", "network-mode"), "Contiv's; every network says its own"),
    Flag(("fwdmode", "forward-mode"), "Contiv's"),
    Flag(("infra", "infra-type"), "Contiv's"),
    Flag(("name", "plugin-name"), "Contiv's"),
    Flag(("control-url", "internal-address"), "Contiv's; there is one listener"),
    Flag(("consul-endpoints", "consul"), "Contiv's"),
    Flag(("syslog-url",), "Contiv's"),
    Flag(("use-syslog", "syslog"), "Contiv's", Kind.SWITCH),
    Flag(("dns-enable",), "Contiv's; names are always answered", Kind.SWITCH),
)

_LEVELS = ("debug", "info", "warn", "error")


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to serve; an empty host is every address."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Options:
    """The command line's meaning. `ignored` names what was given in vain; `store` None is a private etcd."""

    store: Endpoints | None
    tls_files: tuple[Path | None, Path | None, Path | None]
    data_dir: Path
    etcd_port: int
    listen: Listen
    rollout_s: int
    log_level: str
    ignored: tuple[str, ...]
    is_json_log: bool = False
    wants_version: bool = False
    wants_help: bool = False


def parse_options(words: Sequence[str]) -> Options:
    """What the words after the program's name mean.

    Raises:
        InvalidError: an unknown option or a value that it cannot have.
    """
    parsed = parse((*FLAGS, *IGNORED), words)
    # Contiv's users wrote "-dns-enable true", of which Go's parser leaves the second word over.
    left = [word for word in parsed.positionals if word not in ("true", "false")]
    if left:
        raise InvalidError(f"unexpected argument: {left[0]}")
    store = parsed.text("cluster-store")
    return Options(
        store=parse_endpoints(store) if store else None,
        tls_files=_tls_files(parsed),
        data_dir=Path(parsed.text("data-dir")),
        etcd_port=_within("etcd-port", parsed.number("etcd-port"), 1, 65535),
        listen=parse_listen(parsed.text("listen-url")),
        rollout_s=_within("rollout-wait", parsed.number("rollout-wait"), 0, 600),
        log_level="debug" if parsed.is_on("debug") else _level(parsed.text("log-level")),
        ignored=tuple(flag.name for flag in IGNORED if flag.name in parsed.given),
        is_json_log=parsed.is_on("json-log"),
        wants_version=parsed.is_on("version"),
        wants_help=parsed.is_on("help"),
    )


def help_text() -> str:
    """What -help prints."""
    return f"Usage: netmaster [options]\n\nOptions:\n{usage(FLAGS)}"


def parse_listen(text: str) -> Listen:
    """`:9999`, `10.0.0.1:9999` or `[::1]:9999`, with or without `http://` before it.

    Raises:
        InvalidError: another form, or no such port.
    """
    host, colon, port = text.removeprefix("http://").removesuffix("/").rpartition(":")
    is_port = port.isascii() and port.isdecimal() and 1 <= int(port) <= 65535
    if not colon or not is_port or (":" in host and not (host[0] == "[" and host[-1] == "]")):
        raise InvalidError(f'listen-url "{text}" has not the form [ADDRESS]:PORT, PORT 1 to 65535')
    return Listen(host.strip("[]"), int(port))


def _tls_files(parsed: Parsed) -> tuple[Path | None, Path | None, Path | None]:
    ca, certificate, key = (
        Path(text) if text else None for text in map(parsed.text, ("etcd-ca", "etcd-cert", "etcd-key"))
    )
    if (certificate is None) != (key is None):
        raise InvalidError("etcd-cert and etcd-key go together")
    if certificate and not ca:
        raise InvalidError("etcd-cert needs etcd-ca")
    return ca, certificate, key


def _within(name: str, number: int, least: int, most: int) -> int:
    if not least <= number <= most:
        raise InvalidError(f"{name} {number} is not in {least} to {most}")
    return number


def _level(text: str) -> str:
    level = text.lower()
    if level not in _LEVELS:
        raise InvalidError(f'log-level "{text}" is none of {", ".join(_LEVELS)}')
    return level
