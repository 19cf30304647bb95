"""The C-STORE and C-ECHO provider: what it answers with Success is on disk.

Objects are written into the spool while they come in, so that memory does not grow with them.
Whatever a peer sends ends its own association at worst.
"""

import logging
import socket
import ssl
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock

from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined] # made at import
from pynetdicom.transport import AssociationSocket, ThreadedAssociationServer

from app.auth.permissions import Principal
from app.cases.states import Channel
from app.dicom.indexing import Delivery
from app.dicom.receipts import PROCESSING_FAILURE, describe_failure
from app.dicom.receiving import Receiver
from app.dicom.sockets import close_sockets_always
from app.dicom.sop_classes import STORAGE_CLASSES, TRANSFER_SYNTAXES
from models.errors import AegleError

_LOG = logging.getLogger(__name__)

SUCCESS = 0x0000
_HANDSHAKE_S = 10.0
_PDU_HEAD_BYTES = 64  # a PDU is a little longer than the data it carries


@dataclass(frozen=True, slots=True)
class ListenerRules:
    """Who may send what; `tls` is None where plain connections are taken."""

    ae_title: str
    callers: tuple[str, ...]
    associations: int
    pdu_bytes: int
    object_bytes: int
    tls: ssl.SSLContext | None


class StoreListener:
    """Takes associations on one port, each in threads of its own."""

    def __init__(self, receiver: Receiver, rules: ListenerRules) -> None:
        self._receiver = receiver
        self._rules = rules
        self._counts: dict[Association, int] = {}
        self._lock = Lock()
        self._entity = _build_entity(rules)
        self._server: ThreadedAssociationServer | None = None

    def start(self, host: str, port: int) -> None:
        """Open the port."""
        _keep_spool(self._receiver.storage.blobs.spool / "dimse")
        self._server = self._entity.start_server(
            (host, port),
            block=False,
            ssl_context=self._rules.tls,
            evt_handlers=self._list_handlers(),
        )

    @property
    def port(self) -> int:
        """The port that is open."""
        return 0 if self._server is None else int(self._server.server_address[1])

    def stop(self, timeout_s: float) -> None:
        """Take no more associations, let those that are open finish, then end them."""
        if self._server is None:
            return
        self._server.shutdown()
        deadline = time.monotonic() + timeout_s
        while self._server.active_associations and time.monotonic() < deadline:
            time.sleep(0.05)
        self._entity.shutdown()

    def _list_handlers(self) -> list[evt.EventHandlerType]:
        return [
            (evt.EVT_CONN_OPEN, self._open),
            (evt.EVT_PDU_RECV, self._count),
            (evt.EVT_C_STORE, self._store),
        ]

    def _open(self, event: Event) -> None:
        association, wire = event.assoc, event.assoc.dul.socket
        if wire is None or wire.socket is None:
            return
        limit = self._rules.pdu_bytes + _PDU_HEAD_BYTES
        wire.recv = partial(_receive, wire, limit)  # type: ignore[method-assign] # bounded
        run = partial(self._run, association, wire.socket, association.dul.run)
        association.dul.run = run  # type: ignore[method-assign] # guarded

    def _run(self, association: Association, bare: socket.socket, run: Callable[[], None]) -> None:
        """Run the thread that reads from a peer, and leave nothing behind when it ends.

        Some bytes make the library's state machine fail; it would leave its other threads waiting
        then, each of them in a place that no other peer can have.
        """
        try:
            run()
        except Exception as error:  # noqa: BLE001 - whatever a peer may send
            _LOG.warning("a peer broke the protocol", exc_info=error)
            association.is_aborted = True
            association.is_established = False
            association._kill = True  # noqa: SLF001 - as the library does where it meets this itself
        finally:
            bare.close()
            self._forget(association)

    def _count(self, event: Event) -> None:
        """End an association whose object grows over the limit."""
        if not isinstance(event.pdu, P_DATA_TF):
            return
        with self._lock:
            count = self._counts.get(event.assoc, 0) + event.pdu.pdu_length
            self._counts[event.assoc] = count
        if count > self._rules.object_bytes:
            _LOG.warning("an object is larger than allowed; its association was ended")
            event.assoc.abort()

    def _store(self, event: Event) -> int:
        with self._lock:
            self._counts.pop(event.assoc, None)
        try:
            return self._take(event)
        except AegleError as error:
            return describe_failure(error).reason
        except Exception as error:  # noqa: BLE001 - one object must not end the listener
            _LOG.error("an object could not be taken in", exc_info=error)
            return PROCESSING_FAILURE

    def _take(self, event: Event) -> int:
        caller = _read_title(event.assoc)
        delivery = Delivery(Principal(f"aet:{caller}", caller, frozenset()), Channel.DIMSE)
        self._receiver.storage.watermark.check()
        with self._receiver.take_file(event.dataset_path) as draft:
            receipt = self._receiver.receive(draft, delivery)
        if receipt.failure is None:
            return SUCCESS
        fields = {"code": receipt.failure.code, "status": f"{receipt.failure.reason:04x}"}
        _LOG.warning("an object was refused", extra={"fields": fields})
        return receipt.failure.reason

    def _forget(self, association: Association) -> None:
        """Throw away what came of an object that is not whole."""
        with self._lock:
            self._counts.pop(association, None)
        message = association.dimse.message
        file, path = (getattr(message, f"_data_set_{what}", None) for what in ("file", "path"))
        if file is not None:
            file.close()
        if path is not None:
            Path(path).unlink(missing_ok=True)


def _build_entity(rules: ListenerRules) -> AE:
    # Settings of the library are global: this process has one listener.
    _config.LOG_HANDLER_LEVEL = "none"
    _config.STORE_RECV_CHUNKED_DATASET = True
    close_sockets_always()
    entity = AE(rules.ae_title)
    entity.require_called_aet = True
    entity.require_calling_aet = list(rules.callers)
    entity.maximum_associations = rules.associations
    entity.maximum_pdu_size = rules.pdu_bytes
    entity.add_supported_context(Verification)
    for uid in sorted(STORAGE_CLASSES):
        entity.add_supported_context(uid, sorted(TRANSFER_SYNTAXES))
    return entity


def _keep_spool(folder: Path) -> None:
    """Let the library write on the disk of the store, where what a crash left is removed."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for left in folder.iterdir():
        left.unlink(missing_ok=True)
    tempfile.tempdir = str(folder)


def _receive(wire: AssociationSocket, limit: int, count: int) -> bytearray:
    """Read a part of a PDU in place of the library, which believes any length a peer declares."""
    if count > limit or wire.socket is None:
        raise ConnectionError("a PDU is longer than was agreed")
    received = bytearray(count)
    rest = memoryview(received)
    while rest:
        read = wire.socket.recv_into(rest)
        if not read:
            return received[: count - len(rest)]
        rest = rest[read:]
    return received


def _read_title(association: Association) -> str:
    title = str(association.requestor.ae_title or "")
    return "".join(letter for letter in title if letter.isprintable()).strip()[:16]


class _LateHandshake(ssl.SSLContext):
    """A TLS context that shakes hands in the association's own thread.

    In the thread that accepts, one silent peer would keep all others out.
    """

    def wrap_socket(  # type: ignore[override] # as the library calls it
        self, sock: socket.socket, *, server_side: bool = True
    ) -> ssl.SSLSocket:
        """Wrap a socket; the handshake comes with the first bytes that are read."""
        sock.settimeout(_HANDSHAKE_S)
        return super().wrap_socket(sock, server_side=server_side, do_handshake_on_connect=False)


def open_tls(certificate: Path, key: Path | None, authorities: Path | None) -> ssl.SSLContext:
    """Give the TLS context of a certificate; with authorities, callers must show theirs.

    Raises:
        OSError: a file cannot be read, or holds something else (ssl.SSLError).
    """
    context = _LateHandshake(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    if authorities is not None:
        context.load_verify_locations(authorities)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
