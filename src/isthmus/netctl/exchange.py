"""One HTTP request and its answer, over a connection of their own.

In HTTP/1.0, where the answer ends with the connection. The standard library's client would double the time that
netctl takes to start: it loads a parser for e-mail, and TLS also where there is none.
"""

import socket
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import SplitResult

PORTS = {"http": 80, "https": 443}
CONNECT_TIMEOUT_S = 2  # a host that is gone sends nothing; time for a lost SYN to be sent again
TIMEOUT_S = 60  # more than netmaster waits for the nodes
GONE_S = 5  # with TCP's probes: a host that dies before its answer is told from one that takes its time


class BadAnswerError(Exception):
    """What came back is no whole HTTP answer; the request may have been carried out all the same."""


class Server(NamedTuple):
    """One address of a URL's host, as the socket library has it."""

    url: SplitResult
    family: int
    address: Any


class Answer(NamedTuple):
    """An HTTP answer; the names of its headers are in lower case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


def servers(url: SplitResult) -> list[Server]:
    """Every address of a URL's host, the likeliest first.

    Raises:
        OSError: no host has the name.
        ValueError: no host can have it.
    """
    found = socket.getaddrinfo(url.hostname, url.port or PORTS[url.scheme], type=socket.SOCK_STREAM)
    return [Server(url, family, address) for family, _, _, _, address in found]


def exchange(server: Server, method: str, path: str, body: bytes = b"", *, is_insecure: bool = False) -> Answer:
    """Ask a server for `path` below its URL; a body is JSON.

    Raises:
        OSError: there is no connection, so nothing was asked.
        BadAnswerError: the connection broke before a whole answer, or what came is none.
    """
    host = server.url.netloc.rpartition("@")[2]
    head = (
        f"{method} {server.url.path.rstrip('/')}{path} HTTP/1.0\r\nHost: {host}\r\nAccept: application/json\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    request = head.encode("ascii") + body
    with _connected(server, is_insecure=is_insecure) as connection:
        return _parsed(_asked(connection, request))


def reason_of(error: Exception) -> str:
    """An error's text, without its number."""
    text = error.strerror if isinstance(error, OSError) else str(error)
    return text or str(error) or type(error).__name__


def _asked(connection: socket.socket, request: bytes) -> bytes:
    try:
        with connection.makefile("rb") as answer:
            connection.sendall(request)
            return answer.read()
    except OSError as error:
        raise BadAnswerError(reason_of(error)) from error


def _connected(server: Server, *, is_insecure: bool) -> socket.socket:
    plain = socket.socket(server.family, socket.SOCK_STREAM)
    try:
        plain.settimeout(CONNECT_TIMEOUT_S)
        plain.connect(server.address)
        plain.settimeout(TIMEOUT_S)
        _notice_its_death(plain)
        return _over_tls(plain, server.url, is_insecure=is_insecure) if server.url.scheme == "https" else plain
    except (OSError, ValueError):  # TLS takes not every name
        plain.close()
        raise


def _notice_its_death(connection: socket.socket) -> None:
    """Let the connection break, not only wait, when the server's host no longer acknowledges anything."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_S * 1000)


def _over_tls(plain: socket.socket, url: SplitResult, *, is_insecure: bool) -> socket.socket:
    import ssl

    context = ssl.create_default_context()
    if is_insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain, server_hostname=url.hostname)


def _parsed(raw: bytes) -> Answer:
    head, gap, body = raw.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    version, _, status_line = first.partition(" ")
    status, _, reason = status_line.partition(" ")
    if not gap or not version.startswith("HTTP/1.") or not status.isdecimal():
        raise BadAnswerError("it does not speak HTTP")
    pairs = (line.partition(":") for line in rest)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) != len(body):
        raise BadAnswerError("its answer was cut short")
    return Answer(int(status), reason, headers, body)
