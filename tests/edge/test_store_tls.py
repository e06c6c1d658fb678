"""Mutual TLS with a real etcd."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trustme

from isthmus.core.errors import InvalidError, StoreUnavailableError
from isthmus.edge.store import Put, Store, TlsFiles
from isthmus.wire.endpoints import Endpoint, Endpoints

if TYPE_CHECKING:
    from pathlib import Path

    from tests.edge.conftest import Cluster, MakeCluster

pytestmark = pytest.mark.root


def _issue(ca: trustme.CA, directory: Path, name: str, *identities: str) -> TlsFiles:
    certificate = ca.issue_cert(*identities, common_name=name)
    files = TlsFiles(directory / "ca.pem", directory / f"{name}.pem", directory / f"{name}.key")
    assert files.certificate is not None
    assert files.key is not None
    ca.cert_pem.write_to_path(str(files.ca))
    certificate.private_key_pem.write_to_path(str(files.key))
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(str(files.certificate), append=True)
    return files


@pytest.fixture
def ours(tmp_path: Path) -> TlsFiles:
    return _issue(trustme.CA(), tmp_path, "ours", "127.0.0.1", "localhost")


@pytest.fixture
def secured(make_cluster: MakeCluster, ours: TlsFiles) -> Cluster:
    files = (f"--trusted-ca-file={ours.ca}", f"--cert-file={ours.certificate}", f"--key-file={ours.key}")
    return make_cluster(1, *files, "--client-cert-auth", scheme="https")


async def test_both_sides_are_known_by_address_and_by_name(secured: Cluster, ours: TlsFiles) -> None:
    port = secured.members[0].client_port
    for host in ("127.0.0.1", "localhost"):
        async with Store(Endpoints((Endpoint(host, port),), is_tls=True), ours) as store:
            assert await store.commit([], [Put("/a", b"1")])


async def test_a_stranger_is_turned_away_on_either_side(secured: Cluster, ours: TlsFiles, tmp_path: Path) -> None:
    async with Store(secured.endpoints, ours) as store:
        await store.read(keys=("/a",))  # it serves
    (tmp_path / "other").mkdir()
    foreign = _issue(trustme.CA(), tmp_path / "other", "foreign", "127.0.0.1")
    anonymous = TlsFiles(ours.ca)
    impostor = TlsFiles(ours.ca, foreign.certificate, foreign.key)
    for files in (foreign, anonymous, impostor):
        async with Store(secured.endpoints, files, timeout_s=1) as store:
            with pytest.raises(StoreUnavailableError):
                await store.read(keys=("/a",))


async def test_a_missing_file_is_named(ours: TlsFiles, tmp_path: Path) -> None:
    endpoints = Endpoints((Endpoint("127.0.0.1", 1),), is_tls=True)
    with pytest.raises(InvalidError, match=r"gone\.pem"):
        Store(endpoints, TlsFiles(tmp_path / "gone.pem"))
