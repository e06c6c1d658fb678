"""One HTTP request and its answer, over a connection of their own.

In HTTP/1.0, where the answer ends with the connection. The standard library's client would double the time that
netctl takes to start: it loads a parser for e-mail, and TLS also where there is none.
"""

import socket
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import SplitResult

PORTS = {"http": 80, "https": 443}
TIMEOUT_S = 60  # more than netmaster waits for the nodes


class BadAnswerError(Exception):
    """What came back is no whole HTTP answer."""


class Answer(NamedTuple):
    """An HTTP answer; the names of its headers are in lower case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


def exchange(url: SplitResult, method: str, path: str, body: bytes = b"", *, is_insecure: bool = False) -> Answer:
    """Ask the server of `url` for `path`; a body is JSON.

    Raises:
        OSError: there is no connection, or it broke.
        BadAnswerError: the answer is cut short, or none.
    """
    host = url.netloc.rpartition("@")[2]
    head = (
        f"{method} {path} HTTP/1.0\r\nHost: {host}\r\nAccept: application/json\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with _connected(url, is_insecure=is_insecure) as connection, connection.makefile("rb") as answer:
        connection.sendall(head.encode("ascii") + body)
        return _parsed(answer.read())


def _connected(url: SplitResult, *, is_insecure: bool) -> socket.socket:
    host = url.hostname or ""
    plain = socket.create_connection((host, url.port or PORTS[url.scheme]), TIMEOUT_S)
    if url.scheme == "http":
        return plain
    import ssl

    context = ssl.create_default_context()
    if is_insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except OSError:
        plain.close()
        raise


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
