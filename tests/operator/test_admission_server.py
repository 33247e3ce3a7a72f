"""The webhook's HTTPS server, with certificates that the cluster tests make."""

import http.client
import json
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.certificates import Authority
from modelyard.domain.errors import NotFoundError
from modelyard.operator.admission_server import MAX_BODY_BYTES, PATH, AdmissionServer


def write_certificate(authority: Authority, folder: Path, name: str) -> bytes:
    """Put a pair into a folder, whole files one after the other; returns the certificate (DER)."""
    pair = authority.server(name)
    folder.mkdir(exist_ok=True)
    for source, target in ((pair.certificate, "tls.crt"), (pair.key, "tls.key")):
        new = folder / f"{target}.new"
        new.write_bytes(source.read_bytes())
        os.replace(new, folder / target)
    return ssl.PEM_cert_to_DER_cert(pair.certificate.read_text())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


@pytest.fixture
def served(tmp_path: Path, authority: Authority) -> Iterator[tuple[AdmissionServer, bytes]]:
    """A server that answers with what it was sent, and its certificate."""
    certificate = write_certificate(authority, tmp_path / "tls", "first")
    server = AdmissionServer(0, tmp_path / "tls", lambda review: {"sent": review["request"]})
    server.start()
    yield server, certificate
    server.stop()


def connect(server: AdmissionServer, authority: Authority) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=str(authority.certificate))
    return http.client.HTTPSConnection("localhost", server.port, context=context, timeout=20)


def post(connection: http.client.HTTPSConnection, body: bytes, path: str = PATH) -> tuple[int, Any]:
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_reviews_are_answered_on_one_connection(served: tuple[AdmissionServer, bytes], authority: Authority) -> None:
    connection = connect(served[0], authority)
    for number in range(3):
        assert post(connection, json.dumps({"request": number}).encode(), f"{PATH}?timeout=5s") == (200, {"sent": number})
    connection.close()


@pytest.mark.parametrize(
    ("body", "path", "status"),
    [
        pytest.param(b"{}", PATH, 400, id="no review"),
        pytest.param(b"[]", PATH, 400, id="a list"),
        pytest.param(b"{", PATH, 400, id="no JSON"),
        pytest.param(b"\xff", PATH, 400, id="no text"),
        pytest.param(b'{"request": 1}', "/elsewhere", 404, id="another path"),
        pytest.param(b"", PATH, 413, id="nothing"),
    ],
)
def test_what_is_no_review_is_told(
    served: tuple[AdmissionServer, bytes], authority: Authority, body: bytes, path: str, status: int
) -> None:
    connection = connect(served[0], authority)
    assert post(connection, body, path)[0] == status
    connection.close()


def test_a_body_that_is_too_long_is_not_read(served: tuple[AdmissionServer, bytes], authority: Authority) -> None:
    connection = connect(served[0], authority)
    connection.putrequest("POST", PATH)
    connection.putheader("Content-Length", str(MAX_BODY_BYTES + 1))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_who_does_not_shake_hands_keeps_nobody_waiting(served: tuple[AdmissionServer, bytes], authority: Authority) -> None:
    with (
        socket.create_connection(("localhost", served[0].port)) as silent,
        socket.create_connection(("localhost", served[0].port)) as plain,
    ):
        plain.sendall(b"POST / HTTP/1.1\r\n\r\n")
        connection = connect(served[0], authority)
        assert post(connection, b'{"request": 1}') == (200, {"sent": 1})
        connection.close()
        assert silent.fileno() >= 0


def shown(server: AdmissionServer, authority: Authority) -> bytes:
    """The certificate that a new connection gets."""
    connection = connect(server, authority)
    connection.connect()
    certificate = connection.sock.getpeercert(binary_form=True)
    connection.close()
    assert isinstance(certificate, bytes)
    return certificate


def test_a_renewed_certificate_is_taken_up(served: tuple[AdmissionServer, bytes], authority: Authority, tmp_path: Path) -> None:
    server, first = served
    assert shown(server, authority) == first
    second = write_certificate(authority, tmp_path / "tls", "second")
    assert shown(server, authority) == second != first


def test_half_a_renewal_keeps_the_certificate_that_there_was(
    served: tuple[AdmissionServer, bytes], authority: Authority, tmp_path: Path
) -> None:
    server, first = served
    (tmp_path / "tls" / "tls.crt").write_bytes(authority.server("other").certificate.read_bytes())
    assert shown(server, authority) == first
    (tmp_path / "tls" / "tls.key").unlink()
    assert shown(server, authority) == first
    (tmp_path / "tls" / "tls.key").write_bytes((authority.folder / "other.key").read_bytes())
    assert shown(server, authority) != first


@pytest.mark.parametrize("found", [pytest.param(None, id="nothing"), pytest.param(b"no certificate", id="something else")])
def test_without_a_certificate_it_does_not_start(tmp_path: Path, found: bytes | None) -> None:
    if found is not None:
        for name in ("tls.crt", "tls.key"):
            (tmp_path / name).write_bytes(found)
    with pytest.raises(NotFoundError, match=r"tls.crt cannot be read with its key: .*; mount a Secret of the type kubernetes.io/tls there"):
        AdmissionServer(0, tmp_path, lambda review: {})
