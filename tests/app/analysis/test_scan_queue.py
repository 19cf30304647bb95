import threading

import numpy as np
import pytest

from app.analysis.scan_queue import BatchLimits, Lane, ScanQueue, Task
from app.errors import EngineUnavailable, QueueFull
from tests.builders.scans import make_scan

LIMITS = BatchLimits(max_scans=3, max_slices=4, wait_s=0.0, max_waiting_px=1000)


def make_task(slices=1, lane=Lane.LIVE, digest=None):
    return Task(make_scan(np.zeros((slices, 10, 10))), lane, digest)


def fill(*tasks, limits=LIMITS):
    queue = ScanQueue(limits)
    for task in tasks:
        queue.put(task, 0.0)
    return queue


def test_a_batch_holds_no_more_scans_than_allowed():
    tasks = [make_task() for _ in range(5)]

    queue = fill(*tasks)

    assert [queue.take(), queue.take()] == [tasks[:3], tasks[3:]]


def test_a_batch_holds_no_more_slices_than_allowed_but_one_scan_always_goes():
    tasks = [make_task(slices=2), make_task(slices=3), make_task(slices=5)]

    queue = fill(*tasks)

    assert [queue.take() for _ in range(3)] == [[task] for task in tasks]


def test_a_batch_is_for_one_bundle():
    tasks = [make_task(digest=digest) for digest in ("a", "a", "b")]

    queue = fill(*tasks)

    assert [queue.take(), queue.take()] == [tasks[:2], tasks[2:]]


def test_scans_for_several_bundles_that_alternate_make_full_batches_in_order():
    tasks = [make_task(digest=digest) for digest in "abababb"]

    queue = fill(*tasks)

    taken = [queue.take() for _ in range(3)]
    assert taken == [tasks[0:6:2], [tasks[1], tasks[3], tasks[5]], tasks[6:]]


def test_live_scans_overtake_those_in_the_background():
    background, live = make_task(lane=Lane.BACKGROUND), make_task()

    queue = fill(background, live)

    assert [queue.take(), queue.take()] == [[live], [background]]


def test_a_full_queue_refuses_and_says_when_to_come_back():
    queue = fill(make_task(slices=8))

    with pytest.raises(QueueFull) as refusal:
        queue.put(make_task(slices=3), 0.01)

    assert refusal.value.retry_after_s


def test_one_scan_larger_than_the_queue_may_wait_alone():
    huge = make_task(slices=50)

    assert fill(huge).take() == [huge]


def test_a_waiting_put_goes_on_when_a_batch_is_taken():
    queue = fill(make_task(slices=8))
    late = make_task(slices=8)
    putting = threading.Thread(target=queue.put, args=(late, 10.0))
    putting.start()

    queue.take()
    putting.join(10.0)

    assert queue.take() == [late]


def test_a_closed_queue_hands_out_what_waits_and_takes_no_more():
    task = make_task()
    queue = fill(task)

    queue.close()

    assert queue.take() == [task]
    assert queue.take() == []
    with pytest.raises(EngineUnavailable):
        queue.put(make_task(), 0.0)


def test_a_batch_waits_a_moment_for_company():
    first, second = make_task(), make_task()
    queue = fill(first, limits=BatchLimits(2, 4, 10.0, 1000))
    threading.Timer(0.05, queue.put, (second, 0.0)).start()

    assert queue.take() == [first, second]
