"""The agent's command line: Contiv's forms are taken, nonsense is named."""

from ipaddress import IPv4Address

import pytest

from isthmus.core.errors import InvalidError
from isthmus.netplugin.options import Options, parse_words, read_options


def options(*words: str) -> Options:
    return read_options(parse_words(words), "host1")


def test_the_tutorials_command_line_is_understood() -> None:
    read = options("-plugin-mode", "docker", "-vlan-if", "eth2", "-cluster-store", "etcd://localhost:2379")
    assert read.uplinks == ("eth2",)
    assert str(read.endpoints) == "etcd://localhost:2379"
    assert read.node == "host1"


def test_without_options_the_local_etcd_is_used() -> None:
    assert str(options().endpoints) == "etcd://127.0.0.1:2379"


def test_one_dash_and_two_and_both_ways_of_a_value_are_the_same() -> None:
    forms = [
        ("-vtep-ip", "10.0.0.1"),
        ("--vtep-ip", "10.0.0.1"),
        ("-vtep-ip=10.0.0.1",),
        ("--vtep-ip=10.0.0.1",),
    ]
    assert {options(*form).vtep for form in forms} == {IPv4Address("10.0.0.1")}


def test_contivs_other_options_do_not_stop_us() -> None:
    assert options("-ctrl-ip=10.0.0.1", "-netmode=vxlan", "-fwdmode=bridge", "-host-label=a").node == "a"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["-vtep-ip=nowhere"], "nowhere"),
        (["-vxlan-port=0"], "1 to 65535"),
        (["-vxlan-port=65536"], "65536"),
        (["-vxlan-port=x"], "vxlan-port"),
        (["-cluster-store=consul://a"], "etcd://"),
        (["-plugin-mode=kubernetes"], "kubernetes"),
        (["-log-level=loud"], "debug, info, warn, error"),
        (["-no-such-option"], "no-such-option"),
        (["word"], "word"),
    ],
)
def test_nonsense_is_refused_by_name(words: list[str], named: str) -> None:
    with pytest.raises(InvalidError, match=named.replace("/", "/")):
        options(*words)
