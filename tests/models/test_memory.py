import platform
import subprocess
import sys

import pytest

ROUNDS = 200
# Twenty arrays of 1 MiB, made and dropped together, as a forward pass does.
SCRIPT = f"""
import resource
import numpy as np
from models.memory import keep_freed_memory

def count_faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range({ROUNDS}):
        held = [np.ones(1 << 17) for _ in range(20)]
        del held
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

keep_freed_memory()
count_faults()
print(count_faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc learns what to keep")
def test_arrays_of_the_next_round_reuse_the_memory_of_the_last():
    answer = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60
    )

    # Each round without it would touch 5,120 fresh pages.
    assert int(answer.stdout) < ROUNDS
