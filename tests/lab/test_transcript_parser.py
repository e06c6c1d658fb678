"""Console blocks to steps, and what counts as a difference; then the same on the tutorial's own pages."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.lab.test_tutorial import transcript
from tests.lab.transcript import ANYTHING, INTERRUPT, MACHINE, Line, Step, TranscriptError, difference, steps

PAGE = """# A page

```sh
$ not a transcript
```

```console
$ isthmus lab up
...
root@tutorial-node1:~# netctl net ls
Tenant  Network
------  -------

```

```console
root@tutorial-node2:~# docker exec -it c2 /bin/sh
/ # ping c1
PING c1
^C
--- c1
```

```console
/ # exit
root@tutorial-outside:~# curl http://10.0.2.15/
```
"""


def a_step(*expected: str) -> Step:
    lines = tuple(Line(11 + index, text) for index, text in enumerate(expected))
    return Step("page.md", 10, "node1", is_in_container=False, command="command", expected=lines)


def texts(step: Step) -> list[str]:
    return [line.text for line in step.expected]


def test_a_prompt_says_where_a_command_is_typed() -> None:
    assert [(step.number, step.place, step.is_in_container, step.command) for step in steps("page.md", PAGE)] == [
        (8, MACHINE, False, "isthmus lab up"),
        (10, "node1", False, "netctl net ls"),
        (17, "node2", False, "docker exec -it c2 /bin/sh"),
        (18, "node2", True, "ping c1"),
        (25, "node2", True, "exit"),
        (26, "outside", False, "curl http://10.0.2.15/"),
    ]


def test_what_stands_below_a_command_is_its_output_without_blank_lines_at_the_end() -> None:
    found = steps("page.md", PAGE)
    assert texts(found[1]) == ["Tenant  Network", "------  -------"]
    assert found[3].lines_before_interrupt == 1
    assert [step.is_interrupted for step in found] == [False, False, False, True, False, False]


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ("```console\noutput\n```", "page.md:2: a console block begins with a prompt"),
        ("```console\n/ # ls\n```", "page.md:2: no container's shell is open"),
        ("```console\n$ ls\n/ # ls\n```", "page.md:3: no container's shell is open"),
        ("```console\n$ docker exec -it c sh\n/ # exit\n/ # ls\n```", "page.md:4: no container's shell is open"),
        ("```console\n$ ls\n", "page.md: the last block has no end"),
    ],
)
def test_a_block_that_cannot_be_typed_is_refused_with_its_place(page: str, says: str) -> None:
    with pytest.raises(TranscriptError, match=f"^{says}"):
        steps("page.md", page)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("veth6f2cc03: flags", "veth0123abc: flags"),
        ("ish0123456789ab", "ish5fb14fa87e51"),
        ('"Id": "' + "0" * 64 + '"', '"Id": "' + "f" * 64 + '"'),
        ("135dc6a5127c  bridge", "eedda9b7aea8   bridge"),
        ("ether 02:42:10:49:68:ab", "ether 3e:92:d3:21:0c:6f"),
        ("inet6 fe80::1 x", "inet6 fe80::42:10ff:fe49:68ab x"),
        ("took = 2.790443ms", "took = 312.5µs"),
        ("seq=0 ttl=64 time=0.280 ms", "seq=9 ttl=64 time=12 ms"),
        ("round-trip min/avg/max = 0.175/0.227/0.280 ms", "round-trip min/avg/max = 1.0/2/30.280 ms"),
        (
            "2 packets transmitted, 2 packets received, 0% packet loss",
            "3 packets transmitted, 3 packets received, 0% packet loss",
        ),
        ("RX packets 161  bytes 17095 (16.6 KiB)", "RX packets 0  bytes 0 (0.0 B)"),
        ("RX packets:3 errors:0 dropped:0", "RX packets:8 errors:1 dropped:2"),
        ("1 second ago   Up Less than a second", "About a minute ago   Up 59 seconds"),
        ('"2026-11-23T22:54:51.200858737Z"', '"2027-01-02T03:04:05Z"'),
        ("Server Version: 20.10.24+dfsg1", "Server Version: 28.0.1"),
        ("inet 172.17.0.1  netmask", "inet 172.18.0.1  netmask"),
        ("a   b", "  a b  "),
    ],
)
def test_what_changes_from_run_to_run_is_no_difference(one: str, other: str) -> None:
    assert difference(a_step(one), [other]) == ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0% packet loss", "50% packet loss"),
        ("PING contiv-c1 (10.1.2.1)", "PING contiv-c1 (10.1.2.2)"),
        ("02:02:0a:01:02:01", "02:02:0a:01:02:02"),
        ("52:54:00:00:01:01", "52:54:00:00:01:02"),
        ('"pkt-tag": "1"', '"pkt-tag": "2"'),
        ("mtu 1500", "mtu 1450"),
        ("netplugin local", "netplugin global"),
        ("192.168.2.10", "192.168.2.11"),
    ],
)
def test_what_is_ours_to_get_right_is_a_difference(one: str, other: str) -> None:
    assert difference(a_step(one), [other])


def test_ping_replies_in_a_row_count_once_whatever_their_number() -> None:
    reply = "64 bytes from 10.1.2.1: seq={} ttl=64 time=0.1 ms"
    assert difference(a_step(reply.format(0), "end"), [reply.format(n) for n in range(3)] + ["end"]) == ""


@pytest.mark.parametrize(
    ("came", "sent", "is_loss"),
    [((0, 1), 2, False), ((0, 1), 3, False), ((1, 2), 3, True), ((0, 2), 3, True), ((0, 1), 4, True)],
)
def test_a_request_under_way_at_the_interrupt_is_no_loss_but_any_other_is(
    came: tuple[int, ...], sent: int, is_loss: bool
) -> None:
    reply = "64 bytes from 10.1.2.1: seq={} ttl=64 time=0.1 ms"
    counts = "{} packets transmitted, {} packets received, {}% packet loss"
    percent = 100 * (sent - len(came)) // sent
    expected = a_step(reply.format(0), INTERRUPT, counts.format(1, 1, 0))
    printed = [*(reply.format(n) for n in came), INTERRUPT, counts.format(sent, len(came), percent)]
    assert bool(difference(expected, printed)) is is_loss


def test_the_order_of_a_networks_containers_does_not_matter() -> None:
    def listed(*names: str) -> list[str]:
        ends = ["}," for _ in names[1:]] + ["}"]
        blocks = [
            [f'"{index:064x}": {{', f'"Name": "{name}"', end]
            for index, (name, end) in enumerate(zip(names, ends, strict=True))
        ]
        return ['"Containers": {', *(line for block in blocks for line in block), "},"]

    assert difference(a_step(*listed("c1", "c2")), listed("c2", "c1")) == ""
    assert difference(a_step(*listed("c1", "c2")), listed("c1", "c3"))


def test_the_order_of_etcd_members_does_not_matter() -> None:
    one, other, ill = (
        "http://a is healthy: x: took = 1ms",
        "http://b is healthy: x: took = 2s",
        "http://b is unhealthy: y",
    )
    assert difference(a_step(one, other), [other, one]) == ""
    assert difference(a_step(one, other), [ill, one])


@pytest.mark.parametrize("printed", [["a", "z"], ["a", "b", "z"], ["a", "z", "b", "z"]])
def test_dots_match_any_number_of_lines(printed: list[str]) -> None:
    assert difference(a_step("a", ANYTHING, "z"), printed) == ""


@pytest.mark.parametrize("printed", [[], ["a"], ["a", "b"], ["b", "z"], ["a", "z", "b"]])
def test_dots_match_nothing_else(printed: list[str]) -> None:
    assert difference(a_step("a", ANYTHING, "z"), printed)


def test_a_difference_names_file_and_line_and_shows_both_sides() -> None:
    assert difference(a_step("a", ANYTHING, "y", "z"), ["a", "1", "2", "y", "x"]).splitlines() == [
        "page.md:14: here it begins to differ",
        "--- page.md:10: node1: command",
        "+++ what is printed",
        "@@ -2,4 +2,4 @@",
        " 1",
        " 2",
        " y",
        "-z",
        "+x",
    ]


def test_a_page_agrees_with_itself() -> None:
    for step in transcript():
        assert difference(step, as_printed(step)) == ""


def test_no_line_of_the_tutorial_can_be_edited_unnoticed() -> None:
    edited = [(place, step, original) for original in transcript() for place, step in with_one_line_edited(original)]
    assert len(edited) > 200
    assert [place for place, step, original in edited if not difference(step, as_printed(original))] == []


def as_printed(step: Step) -> list[str]:
    """Give the output that the page shows, as if nothing had stood for the dots."""
    return [text for text in texts(step) if text != ANYTHING]


def with_one_line_edited(step: Step) -> Iterator[tuple[str, Step]]:
    for at, line in enumerate(step.expected):
        if line.text.strip() and line.text not in {ANYTHING, INTERRUPT}:
            lines = (*step.expected[:at], Line(line.number, f"{line.text} edited"), *step.expected[at + 1 :])
            yield f"{step.path}:{line.number}", replace(step, expected=lines)
