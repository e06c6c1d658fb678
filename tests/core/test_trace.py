"""The walk through the tables, without a kernel; tests/bpf compares the kernel's with it."""

import re
from pathlib import Path

import pytest

from isthmus.core.datapath import Here, There
from isthmus.core.trace import Answer, Deliver, Drop, DropReason, Encapsulate, FromContainer, tables_of, trace
from isthmus.core.trace.frames import internet_checksum
from tests.bpf.cases import LOSSES, WAYS, Case
from tests.bpf.packets import HOST, MACS, V4, V6, VTEP, WIRED, A, B, arp, asked, from_a, solicit, solicited, v4_frame
from tests.bpf.wired import SEEN_FROM_A, SEEN_FROM_P

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("case", WAYS + LOSSES, ids=lambda case: case.name)
def test_a_packet_ends_as_the_case_says(case: Case) -> None:
    verdict = trace(tables_of(HOST), case.arrival).verdict
    assert verdict == case.verdict or (case.verdict is Answer and isinstance(verdict, Answer))


@pytest.mark.parametrize("case", SEEN_FROM_A + SEEN_FROM_P, ids=lambda case: case.name)
def test_floods_and_vlans_end_as_the_case_says(case: Case) -> None:
    verdict = trace(tables_of(WIRED), case.arrival).verdict
    assert verdict == case.verdict or (case.verdict is Answer and isinstance(verdict, Answer))


def test_every_stage_is_said_in_a_sentence() -> None:
    told = [(HOST, case) for case in WAYS + LOSSES] + [(WIRED, case) for case in SEEN_FROM_A + SEEN_FROM_P]
    for objects, case in told:
        stages = trace(tables_of(objects), case.arrival).stages
        assert stages
        assert all(each.endswith(".") for each in stages)
        if isinstance(case.verdict, Drop):
            assert stages[-1] == case.verdict.reason.sentence


def test_the_stages_name_who_sends_and_where_it_goes() -> None:
    told = " ".join(trace(tables_of(HOST), from_a(v4_frame(1, 3))).stages)
    assert all(each in told for each in (A, str(V4[1]), str(V4[3]), str(VTEP)))


def test_an_arp_answer_swaps_asker_and_asked() -> None:
    verdict = trace(tables_of(HOST), asked(arp(MACS[1], V4[1], V4[3]))).verdict
    assert isinstance(verdict, Answer)
    raw = [bytes.fromhex(MACS[i].replace(":", "")) for i in range(4)]
    assert verdict.frame[:12] == raw[1] + raw[3]
    assert verdict.frame[20:] == b"\0\2" + raw[3] + V4[3].packed + raw[1] + V4[1].packed


def test_an_advertisement_has_a_valid_checksum() -> None:
    verdict = trace(tables_of(HOST), solicited(V6[1], solicit(V6[3]))).verdict
    assert isinstance(verdict, Answer)
    ip = verdict.frame[14:]
    assert ip[8:40] == V6[3].packed + V6[1].packed
    assert internet_checksum(ip[8:40] + b"\0\0\0\x20\0\0\0\x3a" + ip[40:]) == 0


def test_nothing_passes_where_the_tables_are_empty() -> None:
    for source in (1, 2):
        verdict = trace(tables_of([]), FromContainer(A, v4_frame(source, 2))).verdict
        assert verdict == Drop(DropReason.NO_ENDPOINT)


def test_a_packet_ends_where_the_directory_says() -> None:
    for entry in tables_of(HOST).directory.values():
        i = int(entry.address) & 15
        if entry.network != 7 or entry.address not in V4 or i not in (2, 3, 4):
            continue
        verdict = trace(tables_of(HOST), from_a(v4_frame(1, i))).verdict
        match entry.place:
            case Here(endpoint):
                assert endpoint == B
                assert verdict == Deliver(endpoint, v4_frame(1, i))
            case There(vtep):
                assert verdict == Encapsulate(vtep, 7)


def test_the_reasons_are_those_of_the_c() -> None:
    source = (REPOSITORY / "bpf" / "abi.h").read_text()
    numbered = {name: int(number) for name, number in re.findall(r"\bDROP_(\w+) = (\d+),", source)}
    assert numbered == {each.name: each.value for each in DropReason}


def test_the_reasons_are_documented_in_the_same_words() -> None:
    page = (REPOSITORY / "docs" / "reference" / "drop-reasons.md").read_text()
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| (.+) \|$", page, re.MULTILINE)
    assert rows == [(str(each.value), each.name, each.sentence) for each in DropReason]
