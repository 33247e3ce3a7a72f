"""Listen for the API server's AdmissionReviews over HTTPS. Knows the connection and its certificate, not what is answered."""

import json
import logging
import ssl
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from modelyard.domain.errors import NotFoundError

logger = logging.getLogger(__name__)

PATH = "/admission"
CERTIFICATE, KEY = "tls.crt", "tls.key"
"""In a folder: as Kubernetes mounts a Secret of the type `kubernetes.io/tls`."""
CONNECTION_TIMEOUT_S = 60.0
"""How long a connection may be silent."""
MAX_BODY_BYTES = 8 << 20
"""The API server sends an object twice at most, and takes none above 3 MiB."""
Document = Mapping[str, Any]
Reply = Callable[[Document], dict[str, Any]]
"""AdmissionReview → AdmissionReview. Raises KeyError, TypeError or AttributeError for what is none."""


class AdmissionServer:
    """HTTPS at a port; every replica answers, whichever one leads."""

    def __init__(self, port: int, certificates: Path, reply: Reply) -> None:
        """certificates: a folder with `tls.crt` and `tls.key`, read again when they change. Raises NotFoundError without them."""
        self._server = _Server(port, _Certificates(certificates), _handler(reply))
        self._thread = threading.Thread(target=self._server.serve_forever, name="admission", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_port)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer nothing more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Certificates:
    """The context of a folder's certificate. cert-manager renews it while the process runs."""

    def __init__(self, folder: Path) -> None:
        self._files = folder / CERTIFICATE, folder / KEY
        self._lock = threading.Lock()
        self._seen = self._look()
        try:
            self._context = self._load()
        except OSError as error:  # also ssl.SSLError
            raise NotFoundError(
                f"the certificate {self._files[0]} cannot be read with its key: {error.strerror or error}",
                "mount a Secret of the type kubernetes.io/tls there",
            ) from error

    def context(self) -> ssl.SSLContext:
        """The newest one that could be read: files may be replaced one after the other."""
        with self._lock:
            try:
                now = self._look()
                if now != self._seen:
                    self._context = self._load()
                    self._seen = now
            except OSError as error:
                logger.warning("the certificate in %s is kept as it was: %s", self._files[0].parent, error.strerror or error)
            return self._context

    def _look(self) -> tuple[tuple[int, int], ...]:
        try:
            return tuple((status.st_mtime_ns, status.st_ino) for status in (path.stat() for path in self._files))
        except FileNotFoundError:
            return ()

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self._files)
        return context


class _Server(ThreadingHTTPServer):
    def __init__(self, port: int, certificates: _Certificates, handler: type[BaseHTTPRequestHandler]) -> None:
        self._certificates = certificates
        super().__init__(("", port), handler)

    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        connection.settimeout(CONNECTION_TIMEOUT_S)
        # The handshake is for the connection's own thread: a client that never finishes it keeps nobody waiting.
        return self._certificates.context().wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: Any, client_address: Any) -> None:
        logger.debug("a connection of %s broke off", client_address, exc_info=True)


def _handler(reply: Reply) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # the API server keeps its connection

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if self.path.partition("?")[0] != PATH or not 0 < length <= MAX_BODY_BYTES:
                self.close_connection = True
                self._send(404 if self.path.partition("?")[0] != PATH else 413, {"message": f"send an AdmissionReview to {PATH}"})
                return
            try:
                answered = reply(json.loads(self.rfile.read(length)))
            except (ValueError, KeyError, TypeError, AttributeError):
                self._send(400, {"message": "this is no AdmissionReview"})
            else:
                self._send(200, answered)

        def log_message(self, *_: object) -> None:
            return

        def _send(self, status: int, document: Document) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
