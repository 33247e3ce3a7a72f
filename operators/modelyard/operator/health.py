"""Answer the kubelet's probes. Knows neither the API nor the work."""

import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class HealthServer:
    """HTTP at a port: each path answers 200 or 503 and one word."""

    def __init__(self, port: int, checks: Mapping[str, Callable[[], str]]) -> None:
        """checks: path → what is wrong, empty where nothing is."""
        self._server = ThreadingHTTPServer(("", port), _handler(checks))
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

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


def _handler(checks: Mapping[str, Callable[[], str]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            check = checks.get(self.path)
            if check is None:
                self._answer(404, f"there is {', '.join(checks)}")
            elif wrong := check():
                self._answer(503, wrong)
            else:
                self._answer(200, "ok")

        def log_message(self, *_: object) -> None:
            return

        def _answer(self, status: int, text: str) -> None:
            body = f"{text}\n".encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
