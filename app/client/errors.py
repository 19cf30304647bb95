"""What a caller of the service can meet: the service's own errors by their code, and these.

ClientError                     a child of models.errors.AegleError
├── AddressRefused              the address would show key and scans to the network
├── KeyMissing                  no API key in the environment
├── CertificateRefused          the service does not prove who it is
├── ServiceUnreachable          no answer, for as long as was waited
├── UnexpectedAnswer            an answer that this release does not understand
├── FileChanged                 the file changed while it was sent
├── ScanSetAside                taken in, but the service cannot score it
└── Halted                      the caller asked to stop

An error that the service answers becomes the class that the service raised, found by its code word:
`queue_full` is app.errors.QueueFull again, `unknown_format` models.errors.UnknownFormat.
"""

from functools import cache

import httpx2
from pydantic import ValidationError

from app.error_handlers import ErrorBody
from app.errors import ServiceError
from models.errors import AegleError

_BUG_STATUS = 500


class ClientError(AegleError):
    """The service could not be asked."""


class AddressRefused(ClientError):
    """The address of the service must be https, or http on this machine."""


class KeyMissing(ClientError):
    """There is no API key in the environment."""


class CertificateRefused(ClientError):
    """The service's certificate cannot be trusted; SSL_CERT_FILE names those of your authority."""


class ServiceUnreachable(ClientError):
    """The service does not answer."""


class UnexpectedAnswer(ClientError):
    """The answer is not one that this release understands."""


class FileChanged(ClientError):
    """The file changed while it was sent."""


class ScanSetAside(ClientError):
    """The service took the scan in, but cannot score it."""


class Halted(ClientError):
    """Stopped before it was done."""


def find_refusal(response: httpx2.Response) -> AegleError | None:
    """Give the error that an answer tells, as the class that the service raised; None for none."""
    if response.is_success:
        return None
    try:
        detail = ErrorBody.model_validate_json(response.content).error
    except ValidationError:
        return UnexpectedAnswer(f"the answer has status {response.status_code} and is not Aegle's")
    message = make_printable(detail.message)
    if detail.fields:
        message += f" ({', '.join(make_printable(field.field) for field in detail.fields)})"
    if response.status_code == _BUG_STATUS and detail.request_id:
        message += f" (request {make_printable(detail.request_id)})"
    kind = _list_codes().get(detail.code)
    return kind(message) if kind else UnexpectedAnswer(f"{make_printable(detail.code)}: {message}")


def make_printable(text: str) -> str:
    """Put a mark for what a file's name or an answer could do to a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


@cache
def _list_codes() -> dict[str, type[AegleError]]:
    """Give every error that an answer may tell, by its code word."""
    codes: dict[str, type[AegleError]] = {}
    waiting: list[type[AegleError]] = [ServiceError, *AegleError.__subclasses__()]
    while waiting:
        kind = waiting.pop()
        if not issubclass(kind, ClientError):
            codes[kind().code] = kind
            waiting.extend(kind.__subclasses__())
    return codes
