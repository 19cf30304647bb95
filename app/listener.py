"""`aegle listen`: takes scans in by C-STORE, in a process of its own beside `aegle serve`.

The two share the database and the blobs, and nothing else: whatever the listener took in, the
service finds there, also what it took in while the service was away.
"""

import signal
import ssl
from threading import Event

import typer

from app.clock import SystemClock
from app.dicom.listener import ListenerRules, StoreListener, open_tls
from app.dicom.opening import open_receiver
from app.errors import SettingsError
from app.logs import set_up_logs
from app.settings import Settings, read_settings
from app.storage.opening import open_storage

SHUTDOWN_S = 30.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("listen")(listen)


def listen() -> None:
    """Take scans in by C-STORE from the callers that AEGLE_DICOM_CALLERS names.

    Examples:

        AEGLE_DICOM_CALLERS='["CT1", "MR1"]' aegle listen
    """
    settings = read_settings()
    set_up_logs(settings.log_level)
    rules = _read_rules(settings)
    storage = open_storage(settings)
    receiver = open_receiver(settings, storage, SystemClock())
    listener = StoreListener(receiver, rules)
    stopping = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    try:
        _start(listener, settings)
        receiver.readers.warm()
        typer.echo(f"{rules.ae_title} takes associations at {settings.host}:{listener.port}")
        stopping.wait()
        listener.stop(SHUTDOWN_S)
    finally:
        receiver.close()
        storage.close()


def _start(listener: StoreListener, settings: Settings) -> None:
    try:
        listener.start(settings.host, settings.dicom_port)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SettingsError(f"port {settings.dicom_port} cannot be opened: {reason}") from None


def _read_rules(settings: Settings) -> ListenerRules:
    if not settings.dicom_callers:
        raise SettingsError("dicom_callers names nobody who may send")
    return ListenerRules(
        ae_title=settings.dicom_ae_title,
        callers=settings.dicom_callers,
        associations=settings.dicom_associations,
        pdu_bytes=settings.dicom_pdu_bytes,
        object_bytes=settings.max_upload_bytes,
        tls=_open_tls(settings),
    )


def _open_tls(settings: Settings) -> ssl.SSLContext | None:
    certificate = settings.dicom_tls_certificate
    if certificate is None:
        return None
    try:
        return open_tls(certificate, settings.dicom_tls_key, settings.dicom_tls_ca)
    except OSError:
        raise SettingsError("the certificate, key or authorities of TLS cannot be used") from None
