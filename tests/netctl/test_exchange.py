"""HTTP/1.0 exchanges with servers, good and bad, plain and over TLS."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme

from isthmus.netctl.client import Client, RefusedError, UnreachableError
from isthmus.netctl.exchange import Answer, BadAnswerError, exchange, servers

Serve = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves one connection with these bytes, whatever is asked; the server's URL."""
    ends: list[Callable[[], None]] = []

    def start(answer: bytes, context: ssl.SSLContext | None = None) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=_answer_once, args=(listener, answer, context))
        thread.start()
        ends.extend((listener.close, thread.join))
        scheme = "https" if context else "http"
        return f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for end in reversed(ends):
        end()


def _answer_once(listener: socket.socket, answer: bytes, context: ssl.SSLContext | None) -> None:
    plain, _ = listener.accept()
    try:
        peer = context.wrap_socket(plain, server_side=True) if context else plain
    except OSError:  # the client does not trust us
        plain.close()
        return
    with peer:
        peer.recv(65536)
        peer.sendall(answer)


def ask(url: str) -> Answer:
    (server,) = servers(urlsplit(url))
    return exchange(server, "GET", "/")


def test_an_answer_is_taken_apart(serve: Serve) -> None:
    raw = b"HTTP/1.1 409 Conflict\r\nContent-Length: 4\r\nIsthmus-Pending:  a, b \r\n\r\nbusy"
    answer = ask(serve(raw))
    assert (answer.status, answer.reason, answer.body) == (409, "Conflict", b"busy")
    assert answer.headers["isthmus-pending"] == "a, b"


def test_an_answer_without_a_length_ends_with_the_connection(serve: Serve) -> None:
    answer = ask(serve(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 200_000))
    assert len(answer.body) == 200_000


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", "does not speak HTTP"),
        (b"SSH-2.0-OpenSSH\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 OK\r\n\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[]", "cut short"),
    ],
)
def test_what_is_no_whole_answer_is_an_error(serve: Serve, raw: bytes, text: str) -> None:
    with pytest.raises(BadAnswerError, match=text):
        ask(serve(raw))
    with pytest.raises(UnreachableError, match=text):
        Client(serve(raw)).version()


def test_a_good_answer_that_is_no_json_is_an_error(serve: Serve) -> None:
    with pytest.raises(UnreachableError, match="Error connecting to netmaster"):
        Client(serve(b"HTTP/1.1 200 OK\r\n\r\n<html>")).version()


def test_an_error_without_a_text_shows_its_status(serve: Serve) -> None:
    with pytest.raises(RefusedError, match="502 Bad Gateway"):
        Client(serve(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")).version()


def test_a_certificate_is_checked_unless_told_otherwise(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    good = b'HTTP/1.1 200 OK\r\n\r\n{"Version": "1"}'
    with pytest.raises(UnreachableError, match="certificate verify failed"):
        Client(serve(good, context)).version()
    assert Client(serve(good, context), is_insecure=True).version() == {"Version": "1"}
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert Client(serve(good, context)).version() == {"Version": "1"}
