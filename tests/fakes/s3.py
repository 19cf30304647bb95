"""A very small S3 on loopback: put (whole or in parts), get, head, delete, list of one bucket."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

_DATE = "2030-01-02T03:04:05.000Z"


class FakeS3(ThreadingHTTPServer):
    """The server and its objects.

    `is_down` lets every request fail; a page of a list holds `page_size` objects; `part_counts`
    tells in how many parts each object came.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.is_down = False
        self.page_size = 1000
        self.part_counts: dict[str, int] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.numbers = count()

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

    @property
    def _query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))

    def _read(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

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
        content = self._read()
        if self.server.is_down:
            self._answer(403, b"<Error><Code>AccessDenied</Code></Error>")
            return
        upload = self._query.get("uploadId")
        if upload is not None:
            number = self._query["partNumber"]
            self.server.uploads[upload][int(number)] = content
            self._answer(200, ETag=f'"{number}"')
            return
        self.server.objects[self._key] = content
        self.server.part_counts[self._key] = 1
        self._answer(200, ETag='"0"')

    def do_POST(self) -> None:
        body = self._read().decode()
        if self.server.is_down:
            self._answer(403, b"<Error><Code>AccessDenied</Code></Error>")
        elif "uploads" in self._query:
            self._begin_upload()
        elif "uploadId" in self._query:
            self._complete_upload(self._query["uploadId"])
        else:
            self._delete_objects(body)

    def _begin_upload(self) -> None:
        name = f"upload-{next(self.server.numbers)}"
        self.server.uploads[name] = {}
        answer = (
            f"<InitiateMultipartUploadResult><Bucket>bucket</Bucket><Key>{escape(self._key)}</Key>"
            f"<UploadId>{name}</UploadId></InitiateMultipartUploadResult>"
        )
        self._answer(200, answer.encode(), Content_Type="application/xml")

    def _complete_upload(self, name: str) -> None:
        parts = self.server.uploads.pop(name)
        self.server.objects[self._key] = b"".join(parts[number] for number in sorted(parts))
        self.server.part_counts[self._key] = len(parts)
        answer = (
            "<CompleteMultipartUploadResult><Bucket>bucket</Bucket>"
            f"<Key>{escape(self._key)}</Key><ETag>&quot;0&quot;</ETag>"
            "</CompleteMultipartUploadResult>"
        )
        self._answer(200, answer.encode(), Content_Type="application/xml")

    def _delete_objects(self, body: str) -> None:
        keys = [part.partition("</Key>")[0] for part in body.split("<Key>")[1:]]
        for key in keys:
            self.server.objects.pop(key, None)
        deleted = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
        answer = f"<DeleteResult>{deleted}</DeleteResult>".encode()
        self._answer(200, answer, Content_Type="application/xml")

    def do_DELETE(self) -> None:
        upload = self._query.get("uploadId")
        if upload is None:
            self.server.objects.pop(self._key, None)
        else:
            self.server.uploads.pop(upload, None)
        self._answer(204)

    def _list(self) -> bytes:
        after, prefix = self._query.get("continuation-token", ""), self._query.get("prefix", "")
        names = [
            key
            for key in sorted(self.server.objects)
            if key > after and key.startswith(prefix)
        ]  # fmt: skip
        page = names[: self.server.page_size]
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{_DATE}</LastModified>"
            f"<ETag>&quot;0&quot;</ETag><Size>{len(self.server.objects[key])}</Size></Contents>"
            for key in page
        )
        is_cut = len(names) > len(page)
        token = f"<NextContinuationToken>{page[-1]}</NextContinuationToken>" if is_cut else ""
        return (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><Name>bucket</Name>'
            f"<IsTruncated>{str(is_cut).lower()}</IsTruncated>{token}{entries}</ListBucketResult>"
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
