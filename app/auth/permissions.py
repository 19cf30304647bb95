"""Who may do what: permissions, the roles that hold them, and the caller of a request."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class Permission(StrEnum):
    """One thing that a caller may do."""

    SEND_SCANS = "scans:send"
    READ_CASES = "cases:read"
    EXPORT_CASES = "cases:export"
    REVIEW_CASES = "cases:review"
    DELETE_CASES = "cases:delete"
    READ_BUNDLES = "bundles:read"
    MANAGE_BUNDLES = "bundles:manage"
    READ_JOBS = "jobs:read"
    RUN_JOBS = "jobs:run"
    READ_MONITORING = "monitoring:read"
    MANAGE_ACCESS = "access:manage"
    READ_AUDIT = "audit:read"


class Role(StrEnum):
    """A set of permissions with a name."""

    SENDER = "sender"
    READER = "reader"
    ADMIN = "admin"


ROLES: dict[Role, frozenset[Permission]] = {
    Role.SENDER: frozenset({Permission.SEND_SCANS}),
    Role.READER: frozenset(
        {
            Permission.SEND_SCANS,
            Permission.READ_CASES,
            Permission.EXPORT_CASES,
            Permission.REVIEW_CASES,
            Permission.READ_BUNDLES,
            Permission.READ_JOBS,
            Permission.READ_MONITORING,
        }
    ),
    Role.ADMIN: frozenset(Permission),
}


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller of a request: `id` is `key:...` or `user:...` and stands in cases and audit."""

    id: str
    name: str
    permissions: frozenset[Permission]
    rate_per_minute: int | None = None
    csrf_token: str | None = None

    @property
    def is_user(self) -> bool:
        """A person in a browser, not a tool with a key."""
        return self.csrf_token is not None

    def may(self, permission: Permission) -> bool:
        """Tell whether the caller holds a permission."""
        return permission in self.permissions


def name_key(identifier: UUID) -> str:
    """Give the principal's id of an API key."""
    return f"key:{identifier}"


def name_user(identifier: UUID) -> str:
    """Give the principal's id of a user."""
    return f"user:{identifier}"
