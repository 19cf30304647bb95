"""Sockets of associations, closed whatever the peer does."""

from contextlib import suppress
from socket import SHUT_RDWR

from pynetdicom.transport import AssociationSocket


def close_sockets_always() -> None:
    """Mend the library in this process; a second call changes nothing.

    It shuts a connection down before it closes the socket, and forgets to close where that fails:
    each peer that goes away would leave a socket behind.
    """
    AssociationSocket._shutdown_socket = _close  # type: ignore[method-assign, assignment] # noqa: SLF001 - a mend


def _close(wire: AssociationSocket) -> None:
    bare = wire.socket
    if bare is None:
        return
    with suppress(OSError):
        bare.shutdown(SHUT_RDWR)
    bare.close()
