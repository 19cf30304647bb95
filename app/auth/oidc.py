"""Login through an identity provider: OpenID Connect, authorization code with PKCE.

Every address the provider names is checked before it is asked: https (or loopback), and a host that
the settings name. Redirects are not followed, proxies of the environment not used.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from app.auth.permissions import Role
from app.auth.tokens import draw_token
from app.clock import Clock
from app.errors import LoginRefused

TIMEOUT_S = 10.0
DISCOVERY_LIFE_S = 3600.0
_ALGORITHMS = ["RS256", "PS256", "ES256", "ES384", "EdDSA"]
_LEEWAY_S = 60


@dataclass(frozen=True, slots=True)
class OidcRules:
    """Which provider, who we are to it, and which of its groups have which role."""

    issuer: str
    client_id: str
    client_secret: str
    redirect_url: str
    role_claim: str
    roles: Mapping[str, Role]
    hosts: frozenset[str]


@dataclass(frozen=True, slots=True)
class LoginStart:
    """A login on its way: where the browser goes, and what must come back."""

    url: str
    state: str
    nonce: str
    code_verifier: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the provider vouches for."""

    issuer: str
    subject: str
    name: str
    role: Role


class OidcProvider:
    """One identity provider."""

    def __init__(self, rules: OidcRules, clock: Clock) -> None:
        self.rules = rules
        self.clock = clock
        self._known: tuple[float, dict[str, Any], KeySet] | None = None

    def begin(self) -> LoginStart:
        """Draw state, nonce and verifier of a new login.

        Raises:
            LoginRefused: the provider cannot be reached or used.
        """
        metadata, _ = self._discover()
        nonce, verifier = draw_token(), generate_token(64)
        with self._open() as client:
            url, state = client.create_authorization_url(
                metadata["authorization_endpoint"], nonce=nonce, code_verifier=verifier
            )
        return LoginStart(url, state, nonce, verifier)

    def finish(self, code: str, nonce: str, code_verifier: str) -> Identity:
        """Trade the code for the identity of the user.

        Raises:
            LoginRefused: the answer is not valid, or gives no role here.
        """
        metadata, keys = self._discover()
        try:
            with self._open() as client:
                token = client.fetch_token(
                    metadata["token_endpoint"], code=code, code_verifier=code_verifier
                )
            claims = jwt.decode(token["id_token"], keys, algorithms=_ALGORITHMS).claims
            self._check_claims(claims, nonce)
        except (JoseError, OAuthError, httpx2.HTTPError, KeyError, ValueError, TypeError):
            raise LoginRefused("the identity provider's answer is not valid") from None
        return Identity(
            issuer=self.rules.issuer,
            subject=str(claims["sub"])[:255],
            name=str(claims.get("name") or claims.get("preferred_username") or "user")[:128],
            role=self._find_role(claims),
        )

    def _check_claims(self, claims: Mapping[str, Any], nonce: str) -> None:
        registry = jwt.JWTClaimsRegistry(
            now=int(self.clock.now().timestamp()),
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": self.rules.issuer},
            aud={"essential": True, "value": self.rules.client_id},
            sub={"essential": True},
            exp={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        registry.validate(dict(claims))

    def _find_role(self, claims: Mapping[str, Any]) -> Role:
        found = claims.get(self.rules.role_claim, [])
        groups = {found} if isinstance(found, str) else {g for g in found if isinstance(g, str)}
        roles = {self.rules.roles[group] for group in groups & self.rules.roles.keys()}
        for role in (Role.ADMIN, Role.READER, Role.SENDER):
            if role in roles:
                return role
        raise LoginRefused

    def _discover(self) -> tuple[dict[str, Any], KeySet]:
        now_s = self.clock.elapsed_s()
        if self._known is None or self._known[0] + DISCOVERY_LIFE_S < now_s:
            metadata = self._fetch(
                f"{self.rules.issuer.rstrip('/')}/.well-known/openid-configuration"
            )
            if metadata.get("issuer") != self.rules.issuer:
                raise LoginRefused("the identity provider names another issuer")
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                self._check_address(str(metadata.get(name)))
            keys = _import_keys(self._fetch(metadata["jwks_uri"]))
            self._known = (now_s, metadata, keys)
        return self._known[1], self._known[2]

    def _fetch(self, url: str) -> dict[str, Any]:
        self._check_address(url)
        try:
            with httpx2.Client(timeout=TIMEOUT_S, trust_env=False) as client:
                answer = client.get(url)
            answer.raise_for_status()
            return dict(answer.json())
        except (httpx2.HTTPError, ValueError, TypeError):
            raise LoginRefused("the identity provider cannot be reached") from None

    def _check_address(self, url: str) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        is_safe = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))
        if not is_safe or host not in {urlsplit(self.rules.issuer).hostname, *self.rules.hosts}:
            raise LoginRefused("the identity provider names a host that the settings do not")

    def _open(self) -> OAuth2Client:
        return OAuth2Client(
            client_id=self.rules.client_id,
            client_secret=self.rules.client_secret,
            redirect_uri=self.rules.redirect_url,
            scope="openid profile",
            code_challenge_method="S256",
            timeout=TIMEOUT_S,
            trust_env=False,
        )


def _import_keys(document: Mapping[str, Any]) -> KeySet:
    try:
        return KeySet.import_key_set({"keys": document["keys"]})
    except (JoseError, ValueError, KeyError, TypeError):
        raise LoginRefused("the identity provider's keys cannot be read") from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
