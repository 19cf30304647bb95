"""Broken STOW messages and broken associations, drawn from right ones by a seed."""

import contextlib
import io
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx2
import pydicom
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage, Verification

from tests.builders.processes import CALLER
from tests.builders.stow import (
    BOUNDARY,
    DICOM_TYPE,
    build_message,
    build_object,
    make_uid,
)

_HEAD = struct.Struct(">BxI")
_TIMEOUT_S = 5.0
_PATIENCE_S = 60.0
_QUICK_S = 0.2
_TYPES = (
    "multipart/related",
    'multipart/related; type="application/dicom"',
    f'multipart/related; type="application/dicom+xml"; boundary={BOUNDARY}',
    "application/dicom",
    "text/plain",
    "",
)
_WORDS = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)


@dataclass
class FuzzTally:
    """What came of it: how many answers of each kind, and what must not be."""

    answers: Counter[str] = field(default_factory=Counter)
    acknowledged: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def break_bytes(content: bytes, chance: random.Random) -> bytes:
    """Change bytes in one to four places: flip, cut, repeat, drop, put noise or lengths in."""
    broken = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(broken) + 1)
        end = min(len(broken), place + chance.choice((1, 2, 4, 16, 200)))
        match chance.randrange(6):
            case 0:
                broken[place:end] = chance.randbytes(end - place)
            case 1:
                del broken[place:end]
            case 2:
                broken[place:place] = broken[place:end] * chance.choice((1, 2, 50))
            case 3:
                del broken[place:]
            case 4:
                order = chance.choice(("little", "big"))
                width = chance.choice((2, 4))
                word = chance.choice(_WORDS) & (256**width - 1)
                broken[place : place + width] = word.to_bytes(width, order)
            case _:
                broken[place:place] = chance.randbytes(chance.choice((1, 8, 500)))
        if not broken:
            break
    return bytes(broken)


class StowFuzz:
    """Sends broken messages, now and then a right one."""

    def __init__(self, client: httpx2.Client, seed: int) -> None:
        self._client = client
        self._chance = random.Random(seed)
        self._study = make_uid()

    def try_once(self, tally: FuzzTally) -> None:
        """Send one message."""
        chance, uid = self._chance, make_uid()
        plain = build_object(self._study, make_uid(), SOPInstanceUID=uid)
        is_right = not chance.randrange(10)
        if is_right:
            body, kind = build_message(plain), DICOM_TYPE
        elif chance.randrange(2):
            parts = [break_bytes(plain, chance) for _ in range(chance.randint(1, 3))]
            body, kind = build_message(*parts), DICOM_TYPE
        else:
            body = break_bytes(build_message(plain), chance)
            kind = chance.choice((DICOM_TYPE, DICOM_TYPE, DICOM_TYPE, *_TYPES))
        path = chance.choice(("/dicom-web/studies", f"/dicom-web/studies/{self._study}"))
        answer = self._client.post(path, content=body, headers={"Content-Type": kind})
        tally.answers[f"STOW {answer.status_code}"] += 1
        if answer.status_code >= 500:
            tally.faults.append(f"STOW was answered {answer.status_code}: {answer.text[:200]}")
        elif answer.status_code == 200 and not answer.json().get("00081199"):
            tally.faults.append("STOW was answered 200 and names nothing that is kept")
        elif is_right and answer.status_code != 200:
            tally.faults.append(f"a right message was answered {answer.status_code}")
        elif is_right:
            tally.acknowledged.append(uid)


class DimseFuzz:
    """Plays a right association again with broken bytes; now and then a right one."""

    def __init__(self, port: int, seed: int) -> None:
        self._port = port
        self._chance = random.Random(seed)
        self._series = make_uid()
        self._pdus = _record(port)

    def try_once(self, tally: FuzzTally) -> None:
        """Play one association."""
        if not self._chance.randrange(10):
            self._send_right(tally)
            return
        request, *others = self._pdus
        breaks_request = not self._chance.randrange(4)
        if breaks_request:
            request = break_bytes(request, self._chance)
        sent = break_bytes(b"".join(others), self._chance)
        with socket.create_connection(("127.0.0.1", self._port), _TIMEOUT_S) as wire:
            answer = _exchange(wire, request, _QUICK_S if breaks_request else _TIMEOUT_S)
            tally.answers[f"association {answer}"] += 1
            if answer == "accepted":
                tally.answers[f"data {_exchange(wire, sent, _QUICK_S)}"] += 1

    def _send_right(self, tally: FuzzTally) -> None:
        uid = make_uid()
        content = build_object(self._series, self._series, SOPInstanceUID=uid)
        status = send_object(self._port, content)
        if status == 0:
            tally.acknowledged.append(uid)
        elif status is None:
            # Places are few, and those of broken peers are taken until they are given up.
            tally.answers["no place"] += 1
        else:
            tally.faults.append(f"a right object was answered {status:04x}")


def send_object(port: int, content: bytes) -> int | None:
    """Send an object by C-STORE, and give the status; None where there was no association."""
    entity = AE(CALLER)
    entity.add_requested_context(Verification)
    entity.add_requested_context(CTImageStorage)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _PATIENCE_S
    peer = entity.associate("127.0.0.1", port, ae_title="AEGLE")
    if not peer.is_established:
        return None
    status = peer.send_c_store(pydicom.dcmread(io.BytesIO(content)))
    peer.release()
    return status.get("Status")


def _exchange(wire: socket.socket, content: bytes, timeout_s: float) -> str:
    """Send bytes and name the answer."""
    wire.settimeout(timeout_s)
    try:
        wire.sendall(content)
        head = wire.recv(_HEAD.size)
    except TimeoutError:
        return "not answered"
    except OSError:
        return "ended"
    kinds = {2: "accepted", 3: "rejected", 4: "answered", 6: "released", 7: "aborted"}
    return kinds.get(head[0], "other") if head else "ended"


def _record(port: int) -> list[bytes]:
    """Give the PDUs of a right association with one object, as its sender wrote them."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        written = bytearray()
        relay = threading.Thread(target=_relay, args=(server, port, written), daemon=True)
        relay.start()
        assert send_object(server.getsockname()[1], build_object(make_uid(), make_uid())) == 0
        relay.join(_PATIENCE_S)
    return _split(bytes(written))


def _relay(server: socket.socket, port: int, written: bytearray) -> None:
    peer, _ = server.accept()
    with peer, socket.create_connection(("127.0.0.1", port)) as ours:
        back = threading.Thread(target=_copy, args=(ours, peer, bytearray().extend), daemon=True)
        back.start()
        _copy(peer, ours, written.extend)
        back.join(_TIMEOUT_S)


def _copy(source: socket.socket, target: socket.socket, note: Callable[[bytes], None]) -> None:
    try:
        while chunk := source.recv(65_536):
            note(chunk)
            target.sendall(chunk)
    except OSError:
        return
    finally:
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


def _split(content: bytes) -> list[bytes]:
    pdus = []
    while content:
        end = _HEAD.size + _HEAD.unpack_from(content)[1]
        pdus.append(content[:end])
        content = content[end:]
    return pdus
