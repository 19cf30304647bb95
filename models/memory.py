"""Memory of a process that makes and drops arrays of the same size for every scan."""

# Under the greatest threshold that glibc learns (32 MiB on 64 bits).
_LESSON_BYTES = 31 * 1024 * 1024


def keep_freed_memory() -> None:
    """Let the C library keep up to 62 MiB that were freed, for the next arrays.

    By default glibc hands every freed megabyte back to the kernel, which fills it with zeros and
    gives it out again at once: a fifth of the time of a scan. The first large block that is freed
    teaches it better (mallopt(3): M_MMAP_THRESHOLD is dynamic, M_TRIM_THRESHOLD becomes twice
    that). Elsewhere this does nothing.
    """
    lesson = bytearray(_LESSON_BYTES)
    del lesson
