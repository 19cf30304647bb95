import pytest

from app.auth import limits
from app.auth.limits import RateLimiter
from app.errors import TooManyRequests


def test_a_caller_may_use_up_a_minute_at_once_and_then_waits(clock):
    limiter = RateLimiter(clock, per_minute=6)
    for _ in range(6):
        limiter.take("key:1")

    with pytest.raises(TooManyRequests) as caught:
        limiter.take("key:1")

    assert caught.value.retry_after_s == 10


def test_tokens_come_back_with_time(clock):
    limiter = RateLimiter(clock, per_minute=6)
    for _ in range(6):
        limiter.take("key:1")
    clock.move(10)

    limiter.take("key:1")

    with pytest.raises(TooManyRequests):
        limiter.check("key:1")


def test_callers_do_not_share_a_bucket_and_may_have_their_own_rate(clock):
    limiter = RateLimiter(clock, per_minute=1)
    limiter.take("key:1")
    limiter.take("key:2", per_minute=2)

    limiter.take("key:2", per_minute=2)

    with pytest.raises(TooManyRequests):
        limiter.take("key:1")


def test_memory_stays_bounded(clock, monkeypatch):
    monkeypatch.setattr(limits, "MAX_CALLERS", 10)
    limiter = RateLimiter(clock, per_minute=1)

    for number in range(100):
        limiter.take(f"address {number}")

    assert len(limiter._buckets) == 10
