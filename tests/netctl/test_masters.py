"""A list of masters: who is asked, in which order, how often, and what is said when none of them serves."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from isthmus.netctl.__main__ import run
from isthmus.netctl.client import DEFAULT_MASTER, Client, RefusedError, UnreachableError

NOBODY = "http://127.0.0.1:1"
GOOD = b"HTTP/1.1 200 OK\r\n\r\n[]"
AWAY = b"HTTP/1.1 503 Service Unavailable\r\n\r\netcd is away\n"
ABSENT = b"HTTP/1.1 404 Not Found\r\n\r\nnetwork a:b not found\n"
CUT_SHORT = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[]"
NO_JSON = b"HTTP/1.1 200 OK\r\n\r\n<html>"
NOTHING = b""


class Fake:
    """A server that gives each connection the next of its answers, the last one again and again."""

    def __init__(self, *answers: bytes, host: str = "127.0.0.1") -> None:
        self._answers = answers
        self._listener = socket.create_server((host, 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://{host}:{self.port}"
        self.asked: list[str] = []

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                words = connection.recv(65536).split()
                if not words:
                    return
                connection.sendall(self._answers[min(len(self.asked), len(self._answers) - 1)])
                self.asked.append(f"{words[0].decode()} {words[1].decode()}")

    def close(self) -> None:
        socket.create_connection(self._listener.getsockname()).close()
        self._thread.join()
        self._listener.close()


Fakes = Callable[..., Fake]


@pytest.fixture
def fake() -> Iterator[Fakes]:
    """Starts a server that answers as told."""
    with ExitStack() as stack:

        def start(*answers: bytes, host: str = "127.0.0.1") -> Fake:
            made = Fake(*answers, host=host)
            stack.callback(made.close)
            return made

        yield start


def client(*masters: Fake | str) -> Client:
    return Client(",".join(each if isinstance(each, str) else each.url for each in masters))


@pytest.mark.parametrize("answer", [NOTHING, b"HTTP/1.1 200 O", CUT_SHORT, NO_JSON, b"SSH-2.0-x\r\n", AWAY])
def test_who_breaks_off_or_has_no_etcd_is_passed_over(fake: Fakes, answer: bytes) -> None:
    first, second = fake(answer), fake(GOOD)
    assert client(first, second).objects("networks") == []
    assert len(first.asked) == len(second.asked) == 1


@pytest.mark.parametrize("nobody", [NOBODY, f"http://{'x' * 64}:9999", "http://[::1]:1", "https://127.0.0.1:1"])
def test_who_cannot_be_connected_to_is_passed_over(fake: Fakes, nobody: str) -> None:
    assert client(nobody, nobody, fake(GOOD)).objects("networks") == []


def test_a_host_that_sends_nothing_is_passed_over() -> None:
    """A listener whose queue is full drops what comes: to the client it is a host that is gone."""
    with ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(silent.getsockname())
        gone = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(UnreachableError, match=f"{gone}: timed out; {NOBODY}: Connection refused$"):
            client(gone, NOBODY).objects("networks")


def test_who_answered_is_asked_first_from_then_on(fake: Fakes) -> None:
    first, second = fake(NOTHING), fake(GOOD)
    masters = client(first, second)
    for _ in range(3):
        assert masters.objects("networks") == []
    assert (len(first.asked), len(second.asked)) == (1, 3)


def test_when_it_fails_later_all_the_others_are_asked_again(fake: Fakes) -> None:
    first, second, third = fake(AWAY, GOOD), fake(GOOD, NOTHING), fake(GOOD)
    masters = client(first, second, third)
    for _ in range(3):
        assert masters.objects("networks") == []
    assert (len(first.asked), len(second.asked), len(third.asked)) == (3, 2, 0)


@pytest.mark.parametrize("status", [400, 404, 409, 500, 502])
def test_a_refusal_is_final_and_comes_from_a_master_that_serves(fake: Fakes, status: int) -> None:
    first, second, third = fake(AWAY), fake(f"HTTP/1.1 {status} No\r\n\r\nnot so\n".encode()), fake(GOOD)
    masters = client(first, second, third)
    for _ in range(2):
        with pytest.raises(RefusedError, match=r"^not so$"):
            masters.create("tenants", "blue", {})
    assert (len(first.asked), len(second.asked), len(third.asked)) == (1, 2, 0)


@pytest.mark.parametrize("broken", [NOTHING, CUT_SHORT, AWAY])
def test_what_is_not_found_after_a_deletion_that_broke_off_was_deleted(fake: Fakes, broken: bytes) -> None:
    first, second = fake(broken), fake(ABSENT)
    assert client(first, second).delete("networks", "a:b").pending == ""
    assert first.asked == second.asked == ["DELETE /api/v1/networks/a:b/"]


def test_what_is_not_found_by_the_first_that_can_be_asked_is_an_error(fake: Fakes) -> None:
    with pytest.raises(RefusedError, match="not found"):
        client(NOBODY, fake(ABSENT)).delete("networks", "a:b")
    with pytest.raises(RefusedError, match="not found"):
        client(fake(NOTHING), fake(ABSENT)).object("networks", "a:b")


def test_an_answer_before_does_not_excuse_what_is_not_found_now(fake: Fakes) -> None:
    masters = client(fake(NOTHING), fake(GOOD, ABSENT))
    assert masters.objects("networks") == []
    with pytest.raises(RefusedError, match="not found"):
        masters.delete("networks", "a:b")


def test_when_all_fail_one_error_names_each_with_its_reason(fake: Fakes) -> None:
    broken, away = fake(NOTHING), fake(AWAY)
    with pytest.raises(UnreachableError) as failure:
        client(NOBODY, broken, away).objects("networks")
    assert str(failure.value) == (
        "Error connecting to netmaster, none of 3 serves: "
        f"{NOBODY}: Connection refused; {broken.url}: it does not speak HTTP; {away.url}: etcd is away"
    )


@pytest.mark.parametrize("around", ["{}", ",{}", "{} , ", " ,, {},"])
def test_empty_elements_are_ignored_and_one_master_needs_no_list(fake: Fakes, around: str) -> None:
    assert client(around.format(fake(GOOD).url)).objects("networks") == []
    with pytest.raises(UnreachableError, match=f"^Error connecting to netmaster {NOBODY}: Connection refused$"):
        client(around.format(NOBODY)).objects("networks")
    with pytest.raises(RefusedError, match=r"^etcd is away$"):
        client(around.format(fake(AWAY).url)).objects("networks")


@pytest.mark.parametrize(
    ("masters", "bad"),
    [
        ("{},netmaster:9999", "netmaster:9999"),
        ("ftp://a,{}", "ftp://a"),
        ("{};http://b", "{};http://b"),
        ("{}, http://b:port", "http://b:port"),
        ("{},http://[::1", "http://[::1"),
        (",", ","),
        (" ", " "),
    ],
)
def test_a_url_that_is_none_is_named_before_anybody_is_asked(
    fake: Fakes, masters: str, bad: str, capsys: pytest.CaptureFixture[str]
) -> None:
    good = fake(GOOD)
    assert run(["--netmaster", masters.format(good.url), "net", "ls"]) == 1
    quoted = f'\\"{bad.format(good.url)}\\"'
    said = f"Error connecting to netmaster: {quoted} is not a URL beginning with http:// or https://"
    assert said in capsys.readouterr().err
    assert good.asked == []


def test_a_list_comes_from_the_environment_too(
    fake: Fakes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NETMASTER", f"{NOBODY},{fake(GOOD).url}")
    assert run(["tenant", "ls", "-j"]) == 0
    assert capsys.readouterr() == ("[]\n", "")


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[tuple[str, int]]]:
    """What the resolver knows: {name: [(address, port)]}."""
    known: dict[str, list[tuple[str, int]]] = {}
    real = socket.getaddrinfo

    def look_up(host: str, port: int, *, type: socket.SocketKind) -> object:  # noqa: A002 - its name there
        if host not in known and not host[0].isdigit():
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [each for found in known.get(host, [(host, port)]) for each in real(*found, type=type)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


Addresses = dict[str, list[tuple[str, int]]]


def test_a_name_is_tried_address_by_address_and_the_good_one_is_kept(fake: Fakes, addresses: Addresses) -> None:
    away, good = fake(AWAY, host="127.0.0.2"), fake(GOOD, host="127.0.0.3")
    addresses["masters"] = [("127.0.0.1", 1), ("127.0.0.2", away.port), ("127.0.0.3", good.port)]
    masters = client("http://masters:9999")
    for _ in range(2):
        assert masters.objects("networks") == []
    assert (len(away.asked), len(good.asked)) == (1, 2)


def test_of_a_name_that_does_not_serve_the_best_reason_is_told(fake: Fakes, addresses: Addresses) -> None:
    addresses["masters"] = [("127.0.0.1", 1), ("127.0.0.1", fake(AWAY).port), ("127.0.0.1", 1)]
    with pytest.raises(RefusedError, match=r"^etcd is away$"):
        client("http://masters:9999").objects("networks")
    with pytest.raises(
        UnreachableError, match=r"of 2 serves: http://masters:9999: etcd is away; http://nobody:1: Name"
    ):
        client("http://masters:9999,http://nobody:1").objects("networks")


def test_without_a_list_it_is_the_host_netmaster_or_this_one_where_no_host_has_that_name(
    fake: Fakes, addresses: Addresses
) -> None:
    here = fake(GOOD)
    addresses["127.0.0.1"] = [("127.0.0.1", here.port)]
    assert Client().objects("networks") == []
    with pytest.raises(UnreachableError, match=f"^Error connecting to netmaster {DEFAULT_MASTER}: Name or service"):
        Client(DEFAULT_MASTER).objects("networks")
    addresses["netmaster"] = [("127.0.0.2", 1)]
    with pytest.raises(UnreachableError, match=f"^Error connecting to netmaster {DEFAULT_MASTER}: Connection refused"):
        Client().objects("networks")
    assert len(here.asked) == 1
