"""A small identity provider on loopback: discovery, keys and a token endpoint."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from joserfc import jwt
from joserfc.jwk import ECKey


class FakeProvider(ThreadingHTTPServer):
    """The provider; a test sets `claims` and may bend `metadata` or the signing `key`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.key = ECKey.generate_key("P-256", {"kid": "one"})
        self.shown_key = self.key
        self.claims: dict[str, Any] = {}
        self.asked: list[dict[str, list[str]]] = []
        self.metadata: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
        }

    @property
    def issuer(self) -> str:
        """Give the issuer's address."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: FakeProvider

    def log_message(self, *_: object) -> None:
        return

    def _answer(self, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        if self.path.endswith("openid-configuration"):
            self._answer(self.server.metadata)
        else:
            self._answer({"keys": [self.server.shown_key.as_dict(private=False)]})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.asked.append(parse_qs(body))
        header = {"alg": "ES256", "kid": "one"}
        token = jwt.encode(header, self.server.claims, self.server.key)
        self._answer({"access_token": "a", "token_type": "Bearer", "id_token": token})


@contextmanager
def run_fake_provider() -> Iterator[FakeProvider]:
    """Run the provider for as long as the block."""
    with FakeProvider() as provider:
        thread = threading.Thread(target=provider.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield provider
        finally:
            provider.shutdown()
            thread.join()
