"""Files of objects: what is read from them, with its place, and what is written to them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.netctl.documents import BadFileError, parse, render_json, render_yaml

GOOD = """\
# a comment
version: 1
objects:
- kind: tenant
  name: blue
- {kind: network, tenant: blue, name: net}
"""


def test_objects_know_the_line_that_they_begin_at() -> None:
    [document] = parse("f", GOOD)
    assert [(each.value["kind"], each.place) for each in document.objects] == [("tenant", "f:4"), ("network", "f:6")]


def test_objects_of_json_know_their_number() -> None:
    text = json.dumps({"version": 1, "objects": [{"kind": "tenant"}, {"kind": "network"}]}, indent="\t")
    [document] = parse("f", text)
    assert [each.place for each in document.objects] == ["f: objects[0]", "f: objects[1]"]


def test_several_documents_are_read_and_empty_ones_passed_over() -> None:
    assert len(parse("f", f"---\n{GOOD}---\n---\n{GOOD}")) == 2
    assert parse("f", "") == []
    assert [each.place for each in parse("f", f"{GOOD}---\n{GOOD}")[1].objects] == ["f:11", "f:13"]


@pytest.mark.parametrize("word", ["yes", "no", "on", "010", "1_000", "1e3", "0x1f", "22:22", "2001-01-01", "1.5", "="])
def test_a_bare_word_is_a_text_unless_it_is_a_plain_number(word: str) -> None:
    [document] = parse("f", f"version: 1\nobjects:\n- {{kind: tenant, name: {word}}}\n")
    assert document.objects[0].value["name"] == word


def test_numbers_switches_and_nothing_are_read_as_such() -> None:
    [document] = parse("f", "version: 1\nobjects:\n- [0, -7, 12, true, false, null, ~, ]\n")
    assert document.objects[0].value == [0, -7, 12, True, False, None, None]


def test_what_stands_once_may_be_used_again() -> None:
    text = "version: 1\nobjects:\n- &a {kind: network, encap: vxlan}\n- {<<: *a, name: b}\n"
    [document] = parse("f", text)
    assert document.objects[1].value == {"kind": "network", "encap": "vxlan", "name": "b"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 1\nobjects: [\n", "f:3: it is no YAML"),
        ("version: 1\nobjects:\n- !!python/object:os.system {}\n", "f:3: it is no YAML: could not determine a constr"),
        ("version: 1\nobjects:\n- *b\n", "f:3: it is no YAML: found undefined alias"),
        ("a\x00b", "f: it is no YAML"),
        ('{"version": 1', "f: it is no JSON"),
        ('{"version": 1, "version": 1}', '"version" stands twice'),
        ("version: 1\nversion: 1\n", 'f:2: "version" stands twice in one mapping'),
        ("version: 1\nobjects:\n- kind: tenant\n  name: a\n  name: b\n", 'f:5: "name" stands twice in one mapping'),
        ("version: 1\nrecords:\n  a: '1'\n  a: '2'\n", 'f:4: "a" stands twice in one mapping'),
        ("version: 2\n", "f: version 2: this netctl reads version 1"),
        ("version: true\n", "f: version True"),
        ("version: '1'\n", "f: version '1'"),
        ("objects: []\n", "f: version None"),
        ("just a text", "f: a document is a mapping of version, objects, records"),
        ("version: 1\nnetworks: []\n", "and of nothing else"),
        ("version: 1\nobjects: {a: b}\n", "f: objects is no list"),
        ("version: 1\nrecords: [a]\n", "f: records is no mapping"),
        ("version: 1\nrecords: {a: 1}\n", "f: records is no mapping of keys to texts"),
        ("- " * 100_000, "f:1: it is no YAML of ours: nested too deep"),
        ("[" * 100_000, "f:1: it is no YAML of ours: nested too deep"),
        ('{"a":' * 100_000, "f: it is no JSON"),
    ],
)
def test_what_is_no_such_file_is_named_with_its_line(text: str, said: str) -> None:
    with pytest.raises(BadFileError) as refusal:
        parse("f", text)
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_what_is_written_is_read_back() -> None:
    content = {
        "version": 1,
        "objects": [{"kind": "rule", "name": "1", "port": 80, "policies": ["a", "no", "010"], "x": "é: #", "z": ""}],
        "records": {"/isthmus/v1/global": '{"schema":1,"long":"' + "x " * 500 + "'\"}"},
    }
    for render in (render_yaml, render_json):
        text = render(content)
        [document] = parse("f", text)
        assert [each.value for each in document.objects] == content["objects"]
        assert document.records == content["records"]
    assert sum(line.startswith("  /isthmus") for line in render_yaml(content).splitlines()) == 1


VALUES = st.one_of(st.text(), st.integers(-(10**12), 10**12), st.lists(st.text(), max_size=3))


@given(
    st.lists(st.dictionaries(st.text(min_size=1), VALUES, max_size=4), max_size=3),
    st.dictionaries(st.text(), st.text()),
)
def test_whatever_is_written_is_read_back(objects: list[dict[str, object]], records: dict[str, str]) -> None:
    for render in (render_yaml, render_json):
        [document] = parse("f", render({"version": 1, "objects": objects, "records": records}))
        assert [each.value for each in document.objects] == objects
        assert document.records == records
