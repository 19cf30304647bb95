"""Clients of a service in memory, and of a service that is made up."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx2
from fastapi.testclient import TestClient

from app.auth.tokens import KeyToken, parse_key
from app.client.access import ServiceAccess
from app.client.client import AegleClient
from app.client.patience import RetryRules
from tests.builders.services import ADDRESS

QUICK = RetryRules(patience_s=1.0, first_s=0.001, most_s=0.002)
KEY = KeyToken(UUID(int=1), "0" * 64)

Answer = Callable[[httpx2.Request], httpx2.Response]


def connect(service: TestClient, **options: Any) -> AegleClient:
    """Give a client of a running service, with the key that the test client holds."""
    key = parse_key(service.headers["Authorization"].removeprefix("Bearer "))
    assert key is not None
    access = ServiceAccess(ADDRESS, key)
    return AegleClient(access, transport=service._transport, **({"rules": QUICK} | options))


def fake(answer: Answer, **options: Any) -> AegleClient:
    """Give a client whose requests are answered by a function."""
    access = ServiceAccess(ADDRESS, KEY)
    transport = httpx2.MockTransport(answer)
    return AegleClient(access, transport=transport, **({"rules": QUICK} | options))


def refuse(status: int, code: str, **headers: str) -> httpx2.Response:
    """Give an answer in the service's one form of errors."""
    body = {"error": {"code": code, "message": "no", "request_id": None, "fields": []}}
    return httpx2.Response(status, json=body, headers=headers)
