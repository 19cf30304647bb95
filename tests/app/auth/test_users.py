"""Users and uses of keys, over both databases."""

from datetime import timedelta

import pytest

from app.audit.service import verify_chain
from app.auth.permissions import Role, name_user
from app.auth.repository import AccessRepository
from app.auth.service import (
    KeyOrder,
    SessionLife,
    create_key,
    identify_session,
    keep_oidc_user,
    open_session,
)
from app.auth.users import disable_user, enable_user
from app.errors import InvalidCredentials, MoveNotAllowed, NotAuthenticated

LIFE = SessionLife(timedelta(minutes=30), timedelta(hours=12))
WHO = ("https://id.example", "7", "Reader")


def add_user(database, clock, who=WHO, role=Role.READER):
    with database.transaction() as session:
        user = keep_oidc_user(session, who, role, clock.now())
        return user.id, open_session(session, user, None, LIFE, clock.now())


def test_disabling_ends_sessions_and_refuses_the_next_login(database, clock):
    user_id, token = add_user(database, clock)

    with database.transaction() as session:
        disable_user(session, user_id, "key:1", clock.now())

    with database.reading() as session, pytest.raises(NotAuthenticated):
        identify_session(session, token, LIFE, clock.now())
    with pytest.raises(InvalidCredentials):
        add_user(database, clock)
    with database.reading() as session:
        assert verify_chain(session).sequence == 2


def test_enabling_lets_log_in_again(database, clock):
    user_id, _ = add_user(database, clock)
    with database.transaction() as session:
        disable_user(session, user_id, "key:1", clock.now())

    with database.transaction() as session:
        enable_user(session, user_id, "key:1", clock.now())

    assert add_user(database, clock)[0] == user_id


def test_one_administrator_is_left_when_two_disable_each_other(database, clock):
    first, _ = add_user(database, clock, role=Role.ADMIN)
    second, _ = add_user(database, clock, ("https://id.example", "8", "Other"), Role.ADMIN)

    with database.transaction() as session:
        disable_user(session, second, name_user(first), clock.now())

    with pytest.raises(MoveNotAllowed, match="last"), database.transaction() as session:
        disable_user(session, first, name_user(second), clock.now())


def test_pages_of_users_give_each_once(database, clock):
    added = []
    for number in range(5):
        clock.move(1)
        added.append(add_user(database, clock, ("https://id.example", str(number), "x"))[0])

    with database.reading() as session:
        first = AccessRepository(session).list_users(None, 3)
        rest = AccessRepository(session).list_users(first[-1].id, 3)

    assert [row.id for row in (*first, *rest)] == added[::-1]


def test_an_earlier_use_never_takes_the_place_of_a_later_one(database, clock):
    with database.transaction() as session:
        row, _ = create_key(session, KeyOrder("tool", frozenset()), "test", clock.now())
    now = clock.now()

    for at in (now, now - timedelta(minutes=5)):
        with database.transaction() as session:
            AccessRepository(session).touch_keys({row.id: at})

    with database.reading() as session:
        assert AccessRepository(session).get_key(row.id).last_used_at == now
