"""Rate limits: a token bucket a caller, in memory, per process."""

import math
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from app.clock import Clock
from app.errors import TooManyRequests

MAX_CALLERS = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at_s: float


class RateLimiter:
    """Lets each caller act so many times a minute, a minute's worth at once."""

    def __init__(self, clock: Clock, per_minute: int) -> None:
        self.clock = clock
        self.per_minute = per_minute
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = Lock()

    def take(self, caller: str, per_minute: int | None = None) -> None:
        """Let a caller act once.

        Raises:
            TooManyRequests: the bucket is empty; tells when to come back.
        """
        rate = per_minute or self.per_minute
        with self._lock:
            bucket = self._fill(caller, rate)
            if bucket.tokens < 1:
                wait_s = (1 - bucket.tokens) * 60 / rate
                raise TooManyRequests(retry_after_s=math.ceil(wait_s))
            bucket.tokens -= 1

    def check(self, caller: str) -> None:
        """Refuse a caller whose bucket is empty, without taking from it."""
        with self._lock:
            bucket = self._fill(caller, self.per_minute)
        if bucket.tokens < 1:
            wait_s = (1 - bucket.tokens) * 60 / self.per_minute
            raise TooManyRequests(retry_after_s=math.ceil(wait_s))

    def _fill(self, caller: str, rate: int) -> _Bucket:
        now_s = self.clock.elapsed_s()
        bucket = self._buckets.pop(caller, None) or _Bucket(rate, now_s)
        bucket.tokens = min(rate, bucket.tokens + (now_s - bucket.filled_at_s) * rate / 60)
        bucket.filled_at_s = now_s
        self._buckets[caller] = bucket
        # The caller that was quiet for longest is forgotten: memory stays bounded.
        if len(self._buckets) > MAX_CALLERS:
            self._buckets.popitem(last=False)
        return bucket
