"""The lab's DNS server: a message in, a message out."""

from ipaddress import IPv4Address

import dns.message
import dns.rcode
import pytest

from isthmus.lab.outside import answer

KNOWN = {"contiv.com": IPv4Address("203.0.113.10")}


def ask(name: str, kind: str = "A") -> dns.message.Message:
    reply = answer(dns.message.make_query(name, kind).to_wire(), KNOWN)
    assert reply is not None
    return dns.message.from_wire(reply)


@pytest.mark.parametrize("name", ["contiv.com", "CONTIV.com"])
def test_a_known_name_has_its_address(name: str) -> None:
    assert [str(item) for rrset in ask(name).answer for item in rrset] == ["203.0.113.10"]


def test_a_known_name_has_no_ipv6_address_but_exists() -> None:
    reply = ask("contiv.com", "AAAA")
    assert (reply.rcode(), reply.answer) == (dns.rcode.NOERROR, [])


def test_any_other_name_does_not_exist() -> None:
    assert ask("example.org").rcode() == dns.rcode.NXDOMAIN


@pytest.mark.parametrize("junk", [b"", b"x", bytes(11), b"\xff" * 40])
def test_junk_is_not_answered(junk: bytes) -> None:
    assert answer(junk, KNOWN) is None


def test_a_reply_is_not_answered() -> None:
    query = dns.message.make_query("contiv.com", "A")
    assert answer(dns.message.make_response(query).to_wire(), KNOWN) is None


def test_a_message_without_a_question_is_a_format_error() -> None:
    reply = answer(dns.message.Message().to_wire(), KNOWN)
    assert reply is not None
    assert dns.message.from_wire(reply).rcode() == dns.rcode.FORMERR
