"""A very small S3 on loopback: put, get, head, delete and list of one bucket in memory."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit
from xml.sax.saxutils import escape

_DATE = "2030-01-02T03:04:05.000Z"


class FakeS3(ThreadingHTTPServer):
    """The server and its objects; `is_down` lets every request fail."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.is_down = False

    @property
    def url(self) -> str:
        """Give the endpoint."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: FakeS3
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        return

    @property
    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).partition("/bucket")[2].lstrip("/")

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", headers.pop("length", str(len(body))))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _answer_object(self) -> None:
        content = self.server.objects.get(self._key)
        if self.server.is_down:
            self._answer(403, b"<Error><Code>AccessDenied</Code></Error>")
        elif content is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            modified = "Wed, 02 Jan 2030 03:04:05 GMT"
            self._answer(200, content, ETag=tag, Last_Modified=modified)

    def do_HEAD(self) -> None:
        self._answer_object()

    def do_GET(self) -> None:
        if "list-type=2" in self.path:
            self._answer(200, self._list(), Content_Type="application/xml")
        else:
            self._answer_object()

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.is_down:
            self._answer(403, b"<Error><Code>AccessDenied</Code></Error>")
            return
        self.server.objects[self._key] = content
        self._answer(200, ETag='"0"')

    def do_POST(self) -> None:
        # DeleteObjects, the only POST in use.
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        keys = [part.partition("</Key>")[0] for part in body.split("<Key>")[1:]]
        for key in keys:
            self.server.objects.pop(key, None)
        deleted = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
        answer = f"<DeleteResult>{deleted}</DeleteResult>".encode()
        self._answer(200, answer, Content_Type="application/xml")

    def do_DELETE(self) -> None:
        self.server.objects.pop(self._key, None)
        self._answer(204)

    def _list(self) -> bytes:
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{_DATE}</LastModified>"
            f"<ETag>&quot;0&quot;</ETag><Size>{len(content)}</Size></Contents>"
            for key, content in sorted(self.server.objects.items())
        )
        return (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><Name>bucket</Name>'
            f"<IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
        ).encode()


@contextmanager
def run_fake_s3() -> Iterator[FakeS3]:
    """Run the server for as long as the block."""
    with FakeS3() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
