"""OHIF's built pages and a service behind one address, as a reverse proxy would put them."""

import mimetypes
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx2

_CONFIG = """window.config = {
  routerBasename: '/', extensions: [], modes: [], showStudyList: true,
  maxNumberOfWebWorkers: 2, showWarningMessageForCrossOrigin: false, showCPUFallbackMessage: false,
  investigationalUseDialog: {option: 'never'}, defaultDataSourceName: 'aegle',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'aegle',
    configuration: {
      friendlyName: 'Aegle', name: 'aegle', qidoRoot: '/dicom-web', wadoRoot: '/dicom-web',
      wadoUriRoot: '/dicom-web', qidoSupportsIncludeField: true, imageRendering: 'wadors',
      thumbnailRendering: 'wadors', enableStudyLazyLoad: true, supportsFuzzyMatching: false,
      supportsWildcard: true, singlepart: false, omitQuotationForMultipartRequest: true,
    },
  }],
};"""
_COPIED = ("content-type", "warning")


@contextmanager
def run_viewer(dist: Path, service: str, key: str) -> Iterator[str]:
    """Serve OHIF, its calls answered by a service, and give the address."""
    client = httpx2.Client(
        base_url=service, headers={"Authorization": f"Bearer {key}"}, timeout=60.0, trust_env=False
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/dicom-web"):
                accept = self.headers.get("Accept", "*/*")
                answer = client.get(self.path, headers={"Accept": accept})
                kept = {name: answer.headers[name] for name in _COPIED if name in answer.headers}
                self._answer(answer.status_code, kept, answer.content)
                return
            name = self.path.split("?")[0].lstrip("/")
            path = dist / name
            if name == "app-config.js":
                self._answer(200, {"Content-Type": "text/javascript"}, _CONFIG.encode())
                return
            path = path if name and path.is_file() else dist / "index.html"
            kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            self._answer(200, {"Content-Type": kind}, path.read_bytes())

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            # What WebAssembly threads of the viewer ask for.
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        client.close()
