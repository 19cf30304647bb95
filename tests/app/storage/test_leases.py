import threading
from datetime import timedelta

from app.storage.leases import take_lease


def test_a_lease_is_taken_once_until_it_ends(database, clock):
    until = clock.now() + timedelta(hours=1)

    taken = []
    for now in (clock.now(), clock.now(), until):
        with database.transaction() as session:
            taken.append(take_lease(session, "house", now, now + timedelta(hours=1)))

    assert taken == [True, False, True]


def test_of_many_at_once_one_takes_it(database, clock):
    taken = []

    def take() -> None:
        with database.transaction() as session:
            now = clock.now()
            taken.append(take_lease(session, "house", now, now + timedelta(hours=1)))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(taken) == [False] * 7 + [True]
