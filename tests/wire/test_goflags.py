"""Command lines in Go's form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.core.errors import InvalidError
from isthmus.wire.goflags import Flag, Kind, Value, parse, parse_leading, usage

TENANT = Flag(("tenant", "t"), "the tenant", default="default")
PORT = Flag(("port", "P"), "the port", Kind.NUMBER)
PRIORITY = Flag(("priority", "p"), "the priority", Kind.NUMBER, default=1)
SUBNET_V6 = Flag(("subnetv6", "s6"), "a subnet")
ALL = Flag(("all", "a"), "all of them", Kind.SWITCH)
POLICY = Flag(("policy", "o"), "may be repeated", Kind.LIST)
FLAGS = (TENANT, PORT, PRIORITY, SUBNET_V6, ALL, POLICY)


@pytest.mark.parametrize(
    "line",
    ["-tenant=blue", "--tenant=blue", "-tenant blue", "--tenant blue", "-t blue", "-t=blue", "--t blue"],
)
def test_one_dash_or_two_and_a_value_after_a_sign_or_a_space(line: str) -> None:
    assert parse(FLAGS, line.split()).text("tenant") == "blue"


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("-p=7", "priority", 7),
        ("-p 7", "priority", 7),
        ("-port=80 -p 10", "port", 80),
        ("-port=80 -p 10", "priority", 10),
        ("-P 0x10", "port", 16),
        ("-P 010", "port", 8),
        ("-P -5", "port", -5),
        ("-s6 2001:db8::/64", "subnetv6", "2001:db8::/64"),
        ("-a", "all", True),
        ("-a=true", "all", True),
        ("-a=T", "all", True),
        ("--all=false", "all", False),
        ("-a=0", "all", False),
        ("-t=", "tenant", ""),
        ("-t=a=b", "tenant", "a=b"),
        ("-t -a", "tenant", "-a"),
        ("-t x -t y", "tenant", "y"),
        ("-policy=x -o y --policy z", "policy", ("x", "y", "z")),
        ("", "tenant", "default"),
        ("", "priority", 1),
        ("", "port", 0),
        ("", "all", False),
        ("", "policy", ()),
    ],
)
def test_values(line: str, name: str, value: Value) -> None:
    assert parse(FLAGS, line.split()).values[name] == value


@pytest.mark.parametrize(
    ("line", "positionals"),
    [
        ("net db -t blue", ("net", "db")),
        ("-t blue net db", ("net", "db")),
        ("net -t blue db", ("db", "net")),  # Contiv's order
        ("net -t blue db -a", ("db", "net")),
        ("-t blue net -a", ("net",)),
        ("-a net", ("net",)),
        ("- -a", ("-",)),
        ("-- -a", ("-a",)),
        ("net -a -- -t", ("net", "-t")),
        ("net -a db -- x", ("db", "net", "x")),
    ],
)
def test_options_stand_anywhere(line: str, positionals: tuple[str, ...]) -> None:
    assert parse(FLAGS, line.split()).positionals == positionals


def test_what_was_given_is_told_from_what_was_not() -> None:
    assert parse(FLAGS, ["-t", "default", "-a=false"]).given == {"tenant", "all"}


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("-x", "not defined: -x"),
        ("--tenants blue", "not defined: -tenants"),
        ("-T blue", "not defined: -T"),
        ("-aq", "not defined: -aq"),
        ("-t", "needs a value: -t"),
        ("-p seven", 'invalid value "seven" for option -p: a whole number'),
        ("-p=", 'invalid value "" for option -p'),
        ("-p 09", 'invalid value "09" for option -p'),
        ("-a=yes", 'invalid value "yes" for option -a: true or false'),
        ("---t blue", "bad option syntax: ---t"),
        ("-=x", "bad option syntax: -=x"),
    ],
)
def test_a_wrong_option_is_named(line: str, text: str) -> None:
    with pytest.raises(InvalidError, match=text):
        parse(FLAGS, line.split())


def test_leading_options_end_at_the_first_other_word() -> None:
    parsed = parse_leading(FLAGS, ["-a", "-t", "blue", "net", "ls", "-a=false", "-x"])
    assert (parsed.text("tenant"), parsed.is_on("all")) == ("blue", True)
    assert parsed.positionals == ("net", "ls", "-a=false", "-x")


@given(st.lists(st.sampled_from(["net", "db", "-a", "-t", "-p", "7", "-t=x", "--", "-", "-q", "--all"])))
def test_no_word_is_lost(words: list[str]) -> None:
    try:
        parsed = parse(FLAGS, words)
    except InvalidError:
        return
    others = [word for word in words if not word.startswith("-") or word == "-"]
    eaten = sum(word in ("-t", "-p") for word in words)
    assert len(others) - eaten <= len(parsed.positionals) <= len(words)


def test_usage_names_every_form_and_default() -> None:
    assert usage((TENANT, SUBNET_V6, ALL)) == (
        "   --tenant, -t value      the tenant (default: default)\n"
        "   --subnetv6, --s6 value  a subnet\n"
        "   --all, -a               all of them\n"
    )
