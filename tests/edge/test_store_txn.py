"""Keys to etcd's bytes and ranges."""

from hypothesis import assume, given
from hypothesis import strategies as st

from isthmus.edge.store.txn import decode_key, encode_key, prefix_end


@given(st.binary())
def test_any_key_of_anybody_goes_there_and_back(key: bytes) -> None:
    assert encode_key(decode_key(key)) == key


@given(st.binary(min_size=1, max_size=4), st.binary(max_size=6))
def test_a_range_holds_just_what_starts_with_its_prefix(prefix: bytes, key: bytes) -> None:
    end = prefix_end(decode_key(prefix))
    is_within = key >= prefix and (end == b"\0" or key < end)
    assert is_within == key.startswith(prefix)


@given(st.binary(min_size=1, max_size=4), st.binary(max_size=6))
def test_a_range_holds_all_that_starts_with_its_prefix(prefix: bytes, rest: bytes) -> None:
    end = prefix_end(decode_key(prefix))
    assume(end != b"\0")
    assert prefix <= prefix + rest < end
