"""Answers to DNS questions, as bytes in and bytes out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.reversename
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.core.model import Address
from isthmus.wire.dns import TTL_S, answer, id_of, is_query, is_reply, question_of, refusal, with_id


@dataclass(frozen=True)
class Table:
    """Names from a table."""

    entries: Mapping[str, Sequence[Address]] = field(default_factory=dict)

    def addresses(self, name: str) -> Sequence[Address] | None:
        return self.entries.get(name)

    def name(self, address: Address) -> str | None:
        return next((name for name, held in self.entries.items() if address in held), None)


V4 = IPv4Address("10.1.2.3")
V6 = IPv6Address("fd00::3")
LONG = "a" * 63 + "." + "b" * 63 + "." + "c" * 63 + "." + "d" * 61
CROWD = [IPv4Address(f"10.1.3.{host}") for host in range(1, 41)]
CROWD_V6 = [IPv6Address(f"fd00::{host:x}") for host in range(1, 41)]
NAMES = Table(
    {
        "contiv-c1": [V4],
        "six": [V4, V6],
        "only-six": [V6],
        "nobody": [],
        "crowd": CROWD,
        LONG: CROWD_V6,
        "under_score.dotted": [V4],
    }
)


def _ask(name: str, kind: str, *, edns: int | bool = False, payload: int = 0) -> bytes:
    return dns.message.make_query(name, kind, use_edns=edns, payload=payload or None).to_wire()


def _said(query: bytes, **how: bool) -> dns.message.Message:
    reply = answer(query, NAMES, **how)
    assert reply is not None
    return dns.message.from_wire(reply)


def _texts(message: dns.message.Message) -> list[str]:
    return [record.to_text() for rrset in message.answer for record in rrset]


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        ("contiv-c1", "A", ["10.1.2.3"]),
        ("contiv-c1.", "A", ["10.1.2.3"]),
        ("CONTIV-c1", "A", ["10.1.2.3"]),
        ("contiv-c1", "AAAA", []),
        ("six", "A", ["10.1.2.3"]),
        ("six", "AAAA", ["fd00::3"]),
        ("six", "ANY", ["10.1.2.3", "fd00::3"]),
        ("only-six", "A", []),
        ("contiv-c1", "MX", []),
        ("contiv-c1", "HTTPS", []),
        ("nobody", "A", []),
        ("under_score.dotted", "A", ["10.1.2.3"]),
        ("3.2.1.10.in-addr.arpa", "PTR", ["contiv-c1."]),
        ("3.2.1.10.in-addr.arpa", "ANY", ["contiv-c1."]),
        ("3.2.1.10.IN-ADDR.arpa", "A", []),
        (dns.reversename.from_address("fd00::3").to_text(), "PTR", ["six."]),
    ],
)
def test_what_is_known_is_answered_for_every_type(name: str, kind: str, told: list[str]) -> None:
    message = _said(_ask(name, kind))
    assert message.rcode() == dns.rcode.NOERROR
    assert _texts(message) == told
    assert all(rrset.ttl == TTL_S for rrset in message.answer)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("contiv.com", "A"),
        ("contiv-c1.default", "A"),  # search suffixes are not stripped
        ("c1", "A"),
        (".", "NS"),
        ("9.2.1.10.in-addr.arpa", "PTR"),
        ("2.1.10.in-addr.arpa", "PTR"),
        ("x.2.1.10.in-addr.arpa", "PTR"),
        ("in-addr.arpa", "SOA"),
    ],
)
def test_what_is_unknown_is_left_to_dockers_resolver(name: str, kind: str) -> None:
    assert answer(_ask(name, kind), NAMES) is None


def test_another_class_or_opcode_is_left_to_dockers_resolver() -> None:
    chaos = dns.message.make_query("contiv-c1", "A", rdclass=dns.rdataclass.CH)
    notify = dns.message.make_query("contiv-c1", "SOA")
    notify.set_opcode(dns.opcode.NOTIFY)
    assert answer(chaos.to_wire(), NAMES) is None
    assert answer(notify.to_wire(), NAMES) is None


def test_an_answer_is_never_answered() -> None:
    reply = answer(_ask("contiv-c1", "A"), NAMES)
    assert reply is not None
    assert not is_query(reply)
    assert answer(reply, NAMES) is None


def test_id_flags_and_the_letters_of_the_question_come_back_as_sent() -> None:
    query = _ask("cOnTiV-C1", "A")
    reply = answer(query, NAMES)
    assert reply is not None
    asked_part = query[12 : 12 + len("cOnTiV-C1") + 2 + 4]
    assert reply[:2] == query[:2]
    assert reply[12 : 12 + len(asked_part)] == asked_part
    message = dns.message.from_wire(reply)
    assert message.flags & (dns.flags.QR | dns.flags.RD | dns.flags.RA)
    assert not message.flags & dns.flags.TC


def test_edns_is_answered_with_edns_and_its_absence_with_none() -> None:
    assert _said(_ask("contiv-c1", "A", edns=0)).edns == 0
    assert _said(_ask("contiv-c1", "A")).edns == -1


@given(st.sampled_from([*NAMES.entries, "3.2.1.10.in-addr.arpa"]), st.sampled_from(["A", "AAAA", "ANY", "PTR"]))
def test_the_bare_query_is_answered_as_any_other(name: str, kind: str) -> None:
    bare = _ask(name, kind)
    reply = answer(bare, NAMES)
    with_more = answer(bare + b"\0", NAMES)  # an octet too many: not bare, but the same question
    assert reply is not None
    assert with_more is not None
    assert dns.message.from_wire(reply) == dns.message.from_wire(with_more)
    assert reply[:12] == with_more[:12]


def test_at_most_ten_addresses_are_told() -> None:
    assert _texts(_said(_ask("crowd", "A"))) == [str(address) for address in CROWD[:10]]


@pytest.mark.parametrize(
    ("payload", "is_stream", "is_cut"),
    [(0, False, True), (512, False, True), (100, False, True), (1232, False, False), (0, True, False)],
)
def test_what_does_not_fit_the_asker_is_cut_and_marked(payload: int, is_stream: bool, is_cut: bool) -> None:
    query = _ask(LONG, "AAAA", edns=0 if payload else False, payload=payload)
    reply = answer(query, NAMES, is_stream=is_stream)
    assert reply is not None
    assert is_cut is bool(dns.message.from_wire(reply).flags & dns.flags.TC)
    assert len(reply) <= (512 if is_cut else 1232)


@pytest.mark.parametrize(
    "tail", [b"", b"\x40", b"\xc0\x0c\x00\x01\x00\x01", b"\x03ab", b"\x00\x00", b"\x01a\x00\x00\x01"]
)
def test_a_question_that_cannot_be_read_is_a_format_error(tail: bytes) -> None:
    header = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
    reply = answer(header + tail, NAMES)
    assert reply is not None
    assert dns.message.from_wire(reply).rcode() == dns.rcode.FORMERR
    assert reply[:2] == b"\x12\x34"


def test_a_known_name_with_broken_rest_is_a_format_error() -> None:
    query = bytearray(_ask("contiv-c1", "A"))
    query[11] = 1  # one additional record, which is not there
    assert _said(bytes(query)).rcode() == dns.rcode.FORMERR


def test_a_refusal_repeats_the_question() -> None:
    message = dns.message.from_wire(refusal(_ask("contiv.com", "A")))
    assert message.rcode() == dns.rcode.SERVFAIL
    assert message.question[0].name == dns.name.from_text("contiv.com")


@given(st.binary(max_size=80))
def test_any_bytes_are_answered_or_passed_on_and_raise_nothing(noise: bytes) -> None:
    reply = answer(noise, NAMES)
    assert reply is None or dns.message.from_wire(reply).rcode() in {dns.rcode.NOERROR, dns.rcode.FORMERR}


@given(st.data())
def test_damaged_queries_raise_nothing(data: st.DataObject) -> None:
    query = bytearray(_ask(data.draw(st.sampled_from(["six", "contiv.com"])), "A", edns=0))
    for _ in range(data.draw(st.integers(1, 4))):
        query[data.draw(st.integers(0, len(query) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(query)))
    reply = answer(bytes(query[:cut]), NAMES)
    assert reply is None or id_of(reply) == id_of(bytes(query))


@given(st.integers(0, 65535))
def test_an_id_is_replaced_and_read(identity: int) -> None:
    query = _ask("contiv.com", "A")
    renamed = with_id(query, identity)
    assert id_of(renamed) == identity
    assert renamed[2:] == query[2:]
    assert question_of(renamed) == question_of(query)


def test_a_question_equals_itself_in_any_case_and_no_other() -> None:
    assert question_of(_ask("contiv.COM", "A")) == question_of(_ask("Contiv.com", "A"))
    assert question_of(_ask("contiv.com", "AAAA")) != question_of(_ask("contiv.com", "A"))
    assert question_of(b"") is None


def test_a_reply_has_the_querys_id_and_question() -> None:
    query = _ask("Contiv.com", "A")
    reply = refusal(_ask("contiv.COM", "A"))
    assert is_reply(with_id(reply, id_of(query)), query)
    assert not is_reply(with_id(reply, id_of(query) ^ 1), query)
    assert not is_reply(with_id(refusal(_ask("contiv.com", "AAAA")), id_of(query)), query)
    assert is_reply(query[:2] + bytes.fromhex("81810000000000000000"), query)  # an error without the question
    assert not is_reply(query, query)
    assert not is_reply(b"", query)


def test_the_table_of_this_test_finds_names_by_address() -> None:
    assert NAMES.name(ip_address("10.1.2.3")) == "contiv-c1"
