"""What the way out in DICOM can refuse; the ways in and all else stand in `app/errors.py`.

RequestError
├── InvalidQuery            400, a search names a value of the wrong form
└── NotAcceptable           406, what is asked for cannot be given in a form that is taken
NotFoundError
├── ObjectNotFound          no DICOM study, series or instance of this name
└── FrameNotFound           an object has no such frame
ConflictError
└── NothingToTell           a finding has no DICOM objects: its scan is none, or has grown
PeerError                   502, another machine did not do what it was asked
├── PeerUnreachable         no answer, or none that can be understood
└── PeerRefused             it answered that it will not
"""

from app.errors import ConflictError, NotFoundError, RequestError, ServiceError


class InvalidQuery(RequestError):
    """A value of the search has not the form of its attribute."""


class NotAcceptable(RequestError):
    """What is asked for cannot be given in any of the forms that are taken."""

    status = 406


class ObjectNotFound(NotFoundError):
    """There is no such DICOM object."""


class FrameNotFound(NotFoundError):
    """The DICOM object has no such frame."""


class NothingToTell(ConflictError):
    """The finding cannot be told as DICOM objects: its scan is no DICOM, or has grown since."""


class PeerError(ServiceError):
    """Another machine did not do what it was asked."""

    status = 502


class PeerUnreachable(PeerError):
    """The other machine gives no answer that can be understood."""


class PeerRefused(PeerError):
    """The other machine refused."""
