"""A job as a stream of server-sent events: its view at first, at every change, and at its end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from threading import Event

from starlette.concurrency import run_in_threadpool

from app.batch.schemas import JobView
from app.batch.states import ENDED
from app.errors import StorageError

_LOOK_S = 0.5
_HEARTBEAT_S = 15.0


async def stream_job(read: Callable[[], JobView], ending: Event) -> AsyncIterator[str]:
    """Give the events of a job until it ends, or the service does.

    Args:
        read: reads the job, in a thread.
        ending: set when streams are to be closed; whoever listens connects again.
    """
    before, number, silent_s = "", 0, 0.0
    while not ending.is_set():
        try:
            view = await run_in_threadpool(read)
        except StorageError:  # it comes back, and who listens need not connect again
            await asyncio.sleep(_LOOK_S)
            continue
        after = view.model_dump_json(exclude={"rate_per_s", "left_s"})
        if after != before:
            before, number, silent_s = after, number + 1, 0.0
            yield f"event: job\nid: {number}\ndata: {view.model_dump_json()}\n\n"
        elif silent_s >= _HEARTBEAT_S:
            silent_s = 0.0
            yield ": still there\n\n"
        if view.status in ENDED:
            return
        await asyncio.sleep(_LOOK_S)
        silent_s += _LOOK_S
