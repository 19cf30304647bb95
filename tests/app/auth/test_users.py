"""Users and uses of keys, over both databases."""

from datetime import timedelta

import pytest

from app.audit.service import verify_chain
from app.auth.passwords import Passwords
from app.auth.permissions import Role, name_user
from app.auth.repository import LOCAL, AccessRepository
from app.auth.service import (
    KeyOrder,
    SessionLife,
    change_password,
    check_password,
    create_key,
    hold_user,
    identify_session,
    keep_oidc_user,
    open_session,
)
from app.auth.tables import UserRow
from app.auth.users import disable_user, enable_user
from app.errors import InvalidCredentials, MoveNotAllowed, NotAuthenticated
from app.storage.identifiers import draw_id

LIFE = SessionLife(timedelta(minutes=30), timedelta(hours=12))
PASSWORDS = Passwords(memory_kib=8, time_cost=1)
GOOD, OTHER = "correct horse battery", "four other words instead"
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


def add_local_user(database, clock):
    now = clock.now()
    with database.transaction() as session:
        user = UserRow(
            id=draw_id(now), issuer=LOCAL, subject="admin", name="admin", role=Role.ADMIN,
            password_hash=PASSWORDS.hash(GOOD), created_at=now,
        )  # fmt: skip
        session.add(user)
        session.flush()
        return user, [open_session(session, user, None, LIFE, now) for _ in range(3)]


def test_a_new_password_ends_the_other_sessions_of_the_user_alone(database, clock):
    user, (own, *others) = add_local_user(database, clock)
    _, elsewhere = add_user(database, clock)

    with database.transaction() as session:
        change_password(session, user, PASSWORDS.hash(OTHER), own, clock.now())

    with database.reading() as session:
        identify_session(session, own, LIFE, clock.now())
        identify_session(session, elsewhere, LIFE, clock.now())
        assert check_password(session, PASSWORDS, "admin", OTHER).id == user.id
        for token in others:
            with pytest.raises(NotAuthenticated):
                identify_session(session, token, LIFE, clock.now())


def test_a_password_that_was_checked_before_a_change_opens_and_changes_nothing(database, clock):
    _, (own, *_) = add_local_user(database, clock)
    with database.reading() as session:
        checked = check_password(session, PASSWORDS, "admin", GOOD)
    with database.transaction() as session:
        change_password(session, checked, PASSWORDS.hash(OTHER), own, clock.now())

    with pytest.raises(InvalidCredentials), database.transaction() as session:
        hold_user(session, checked)
    with pytest.raises(InvalidCredentials), database.transaction() as session:
        change_password(session, checked, PASSWORDS.hash(GOOD), own, clock.now())

    with database.reading() as session:
        assert check_password(session, PASSWORDS, "admin", OTHER).id == checked.id


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
