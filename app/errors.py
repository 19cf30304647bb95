"""What the service can refuse, each with its status and its stable code word.

ServiceError                    500, a child of models.errors.AegleError
├── SettingsError               the settings cannot be used; told at start, never over HTTP
├── RequestError                400, the request itself is wrong
│   ├── InvalidRequest          422, fields are missing or of the wrong form
│   ├── InvalidCursor           the cursor of a list is not one of ours
│   ├── UnknownHost             the Host header names another machine
│   ├── BodyTooLarge            413
│   ├── EncodedBody             415, a compressed request body
│   ├── UnsupportedMedia        415, a body of another media type
│   ├── InvalidStow             a STOW message without parts, or without boundary
│   ├── MethodNotAllowed        405
│   └── InvalidIdempotencyKey   422
├── AccessError                 403, the caller may not
│   ├── NotAuthenticated        401, no key and no session, or one that is not valid
│   ├── InvalidCredentials      401, wrong name, password or setup secret
│   ├── LoginRefused            the identity provider's answer gives no role here
│   ├── PermissionDenied        known, but not allowed to do this
│   ├── CrossSiteRequest        no CSRF token, or the wrong one, or another origin
│   ├── SetupClosed             409, there is an administrator already
│   ├── WeakPassword            422
│   ├── PasswordElsewhere       409, an identity provider keeps the user's password
│   └── TooManyRequests         429, with Retry-After
├── NotFoundError               404
│   ├── RouteNotFound
│   ├── CaseNotFound
│   ├── FindingNotFound
│   ├── ReviewNotFound
│   ├── BundleNotRegistered
│   ├── ReportNotFound
│   ├── JobNotFound
│   ├── KeyNotFound
│   ├── UserNotFound
│   └── BlobNotFound
├── ConflictError               409, true requests that do not fit the present state
│   ├── MoveNotAllowed          a case, bundle or job cannot go from this state to that
│   ├── IdempotencyConflict     the same idempotency key came with other bytes
│   └── ObjectRefused           a DICOM object is not taken in; with its failure reason (PS3.4 B.2)
│       ├── ObjectNotUnderstood     C000, it cannot be read
│       ├── UnidentifiedObject      C001, study, series, class or instance UID missing or malformed
│       ├── CutObject               C002, the message ended inside of it
│       ├── UnsupportedPart         C003, a part of a STOW message that is no application/dicom
│       ├── UnsupportedSyntax       C122, no transfer syntax that is known, or it points elsewhere
│       ├── MismatchedClass         A900, its meta information names another class or instance
│       ├── MismatchedStudy         A901, it belongs to another study than the one addressed
│       ├── NotDeidentifiable       0110, only DICOM objects can be kept without their patient
│       ├── DuplicateObject         0111, another object with this UID is kept
│       └── UnsupportedClass        0122, no storage class that is known
├── EngineError                 503, scans cannot be scored at the moment
│   ├── EngineUnavailable       loading, failed or stopping; accepted scans are scored later
│   ├── QueueFull               with Retry-After; nothing was taken in
│   └── PoisonScan              500, examining this one scan fails; it is quarantined
├── PagesNotBuilt               503, scripts and styles of the pages are missing
└── StorageError                503, what is kept cannot be reached or trusted
    ├── StorageFull             507
    ├── DatabaseUnavailable
    ├── BlobStoreUnavailable
    ├── BlobCorrupt             500, stored bytes differ from their digest
    ├── SchemaOutdated          the database waits for `aegle migrate`
    ├── SchemaTooNew            the database was migrated by a newer release
    └── AuditChainBroken        500, an audit entry does not fit the one before

The docstring of a class is its default message. A message is shown to callers and written to logs:
it never holds a name, an identifier or a free text tag of a patient.
"""

from typing import ClassVar

from models.errors import AegleError


class ServiceError(AegleError):
    """The service could not do this."""

    status: ClassVar[int] = 500

    def __init__(self, message: str = "", *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class SettingsError(ServiceError):
    """The settings cannot be used."""


class RequestError(ServiceError):
    """The request cannot be understood."""

    status = 400


class InvalidRequest(RequestError):
    """Fields of the request are missing or of the wrong form."""

    status = 422


class InvalidCursor(RequestError):
    """The cursor does not belong to this list."""


class UnknownHost(RequestError):
    """The Host header does not name this service."""


class BodyTooLarge(RequestError):
    """The request body is larger than this route takes."""

    status = 413


class EncodedBody(RequestError):
    """Request bodies are taken as they are, without Content-Encoding."""

    status = 415


class UnsupportedMedia(RequestError):
    """Bodies of this media type are not taken here."""

    status = 415


class InvalidStow(RequestError):
    """The STOW message cannot be read."""


class MethodNotAllowed(RequestError):
    """This address does not take this method."""

    status = 405


class InvalidIdempotencyKey(RequestError):
    """An idempotency key has 1 to 128 letters, digits, dots, colons, dashes or underscores."""

    status = 422


class AccessError(ServiceError):
    """The caller may not do this."""

    status = 403


class NotAuthenticated(AccessError):
    """A valid API key or session is needed."""

    status = 401


class InvalidCredentials(AccessError):
    """The credentials are not valid."""

    status = 401


class LoginRefused(AccessError):
    """The identity provider's answer gives no access here."""


class PermissionDenied(AccessError):
    """This key or user is not allowed to do this."""


class CrossSiteRequest(AccessError):
    """The request carries no valid CSRF token, or comes from another origin."""


class SetupClosed(AccessError):
    """The service already has an administrator."""

    status = 409


class WeakPassword(AccessError):
    """A password has 15 to 256 characters and is more than a repetition or two common words."""

    status = 422


class PasswordElsewhere(AccessError):
    """The identity provider keeps the password of this user: change it there."""

    status = 409


class TooManyRequests(AccessError):
    """Too many requests; try again later."""

    status = 429


class NotFoundError(ServiceError):
    """There is nothing at this address."""

    status = 404


class RouteNotFound(NotFoundError):
    """There is nothing at this address."""


class CaseNotFound(NotFoundError):
    """There is no such case."""


class FindingNotFound(NotFoundError):
    """There is no such finding."""


class ReviewNotFound(NotFoundError):
    """There is no such review."""


class BundleNotRegistered(NotFoundError):
    """No bundle with this digest is registered."""


class ReportNotFound(NotFoundError):
    """Nobody has handed in an evaluation report of this bundle."""


class JobNotFound(NotFoundError):
    """There is no such job."""


class KeyNotFound(NotFoundError):
    """There is no such API key."""


class UserNotFound(NotFoundError):
    """There is no such user."""


class BlobNotFound(NotFoundError):
    """There are no stored bytes with this digest."""


class ConflictError(ServiceError):
    """The request does not fit the present state."""

    status = 409


class MoveNotAllowed(ConflictError):
    """The present state does not allow this move."""


class IdempotencyConflict(ConflictError):
    """This idempotency key was used with other bytes."""


class ObjectRefused(ConflictError):
    """The DICOM object is not taken in."""

    failure_reason: ClassVar[int] = 0x0110


class ObjectNotUnderstood(ObjectRefused):
    """The DICOM object cannot be read."""

    failure_reason = 0xC000


class UnidentifiedObject(ObjectRefused):
    """A UID of study, series, class or instance is missing or malformed."""

    failure_reason = 0xC001


class CutObject(ObjectRefused):
    """The message ends inside of this object."""

    failure_reason = 0xC002


class UnsupportedPart(ObjectRefused):
    """The part is not plain application/dicom."""

    failure_reason = 0xC003


class UnsupportedSyntax(ObjectRefused):
    """The transfer syntax is not supported."""

    failure_reason = 0xC122


class MismatchedClass(ObjectRefused):
    """The meta information names another class or instance than the data set."""

    failure_reason = 0xA900


class MismatchedStudy(ObjectRefused):
    """The object belongs to another study than the one addressed."""

    failure_reason = 0xA901


class NotDeidentifiable(ObjectRefused):
    """Patients are taken out at intake: only DICOM objects are taken in."""


class DuplicateObject(ObjectRefused):
    """Another object with this SOP Instance UID is kept already."""

    failure_reason = 0x0111


class UnsupportedClass(ObjectRefused):
    """The SOP class is no storage class that is known."""

    failure_reason = 0x0122


class EngineError(ServiceError):
    """Scans cannot be scored at the moment."""

    status = 503


class EngineUnavailable(EngineError):
    """The engine is not ready."""


class QueueFull(EngineError):
    """As many scans wait as may; try again later."""


class PoisonScan(EngineError):
    """Examining this scan fails every time; it is set aside."""

    status = 500


class PagesNotBuilt(ServiceError):
    """The pages are not built: run `make pages` (it needs Node 20 or newer) and start again."""

    status = 503


class StorageError(ServiceError):
    """What is stored cannot be reached."""

    status = 503


class StorageFull(StorageError):
    """There is no room to store more; reading goes on."""

    status = 507


class DatabaseUnavailable(StorageError):
    """The database cannot be reached at the moment."""


class BlobStoreUnavailable(StorageError):
    """The blob store cannot be reached at the moment."""


class BlobCorrupt(StorageError):
    """Stored bytes differ from their digest."""

    status = 500


class SchemaOutdated(StorageError):
    """The database is older than this release: run `aegle migrate`."""


class SchemaTooNew(StorageError):
    """The database was migrated by a newer release of Aegle: install that one."""


class AuditChainBroken(StorageError):
    """An entry of the audit trail does not fit the one before it."""

    status = 500
