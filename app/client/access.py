"""Where the service is and who calls it: an address, and a key from the environment.

A key is never an argument of a command: arguments are kept in the history of a shell and shown to
everybody on the machine.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from app.auth.tokens import KeyToken, parse_key
from app.client.errors import AddressRefused, KeyMissing
from app.settings import KEY_FILE_VARIABLE, KEY_VARIABLE, is_https_or_loopback


@dataclass(frozen=True, slots=True)
class ServiceAccess:
    """An address that was checked, without a slash at its end, and an API key."""

    url: str
    key: KeyToken = field(repr=False)

    @property
    def is_local(self) -> bool:
        """The service runs on this machine, where no proxy stands between."""
        return self.url.startswith("http://") and is_https_or_loopback(self.url)


def read_access(url: str, environment: Mapping[str, str], *, allows_http: bool) -> ServiceAccess:
    """Check an address, and take the key from AEGLE_API_KEY or the file AEGLE_API_KEY_FILE names.

    Args:
        url: address of the service.
        environment: usually `os.environ`.
        allows_http: the network is trusted: also an address that encrypts nothing will do.

    Raises:
        AddressRefused: it is no address, or key and scans would travel in the clear.
        KeyMissing: there is no key, or what is there has not the form of one.
    """
    return ServiceAccess(_check_address(url, allows_http=allows_http), _read_key(environment))


def _check_address(url: str, *, allows_http: bool) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise AddressRefused("the address of the service begins with https:// and names a host")
    if parts.username is not None or parts.query or parts.fragment:
        raise AddressRefused("the address of the service holds no user, question mark or hash")
    if not (allows_http or is_https_or_loopback(url)):
        raise AddressRefused
    return url.rstrip("/")


def _read_key(environment: Mapping[str, str]) -> KeyToken:
    text = environment.get(KEY_VARIABLE, "")
    file = environment.get(KEY_FILE_VARIABLE)
    if not text and file:
        text = Path(file).read_text(encoding="utf-8")
    if not text.strip():
        raise KeyMissing(f"{KEY_VARIABLE} must hold an API key, or {KEY_FILE_VARIABLE} its file")
    key = parse_key(text.strip())
    if key is None:
        raise KeyMissing("what the environment holds has not the form of an API key")
    return key
