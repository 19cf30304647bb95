import pytest

from tests.builders.slice_memory import measure_slice_memory

MIB = 2**20


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_slices(tmp_path):
    measure_slice_memory(tmp_path, 500, size_px=32)

    few = measure_slice_memory(tmp_path, 1_000, size_px=32)
    many = measure_slice_memory(tmp_path, 10_000, size_px=32)

    # The index takes 8 bytes a slice; the pixels of 10,000 slices would take 22 MB.
    assert many.written_bytes - few.written_bytes < 8 * MIB
    assert many.read_bytes - few.read_bytes < 8 * MIB
