"""Frames cut out of files as they are encoded."""

import numpy as np
import pytest
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

from app.dicom.errors import FrameNotFound
from app.dicom.frames import read_colors, read_frames
from models.decoding.limits import DecodeLimits
from models.errors import AegleError, NoPixels
from tests.builders.dicom import (
    build_dicom,
    build_encoded,
    make_dataset,
    make_ramp,
    write_dataset,
)

LIMITS = DecodeLimits()


def test_frames_of_several_come_in_the_order_asked_for():
    pixels = make_ramp(6, 5, frames=3)

    syntax, frames = read_frames(build_dicom(pixels), [3, 1], LIMITS)

    assert syntax == ExplicitVRLittleEndian
    assert frames == [pixels[2].tobytes(), pixels[0].tobytes()]


def test_big_endian_becomes_little_endian():
    pixels = make_ramp(6, 5)
    dataset = make_dataset(pixels)
    dataset.PixelData = pixels.astype(">u2").tobytes()

    _, (frame,) = read_frames(write_dataset(dataset, ExplicitVRBigEndian), [1], LIMITS)

    assert frame == pixels.tobytes()


def test_bits_that_begin_inside_a_byte_are_moved_to_its_start():
    bits = np.arange(3 * 5 * 5).reshape(3, 5, 5) % 3 == 0
    dataset = make_dataset(bits.astype(np.uint8), BitsStored=1)
    dataset.BitsAllocated = 1
    packed = np.packbits(bits.reshape(-1), bitorder="little").tobytes()
    dataset.PixelData = packed + b"\0" * (len(packed) % 2)

    _, frames = read_frames(write_dataset(dataset), [2], LIMITS)

    assert frames == [np.packbits(bits[1].reshape(-1), bitorder="little").tobytes()]


def test_encoded_frames_come_without_being_decoded():
    frames = [b"\xff\xd8first\xff\xd9 ", b"\xff\xd8second!\xff\xd9"]

    syntax, found = read_frames(
        build_encoded(frames, "1.2.840.10008.1.2.4.50", NumberOfFrames=2), [2, 1], LIMITS
    )

    assert syntax == "1.2.840.10008.1.2.4.50"
    assert [each.rstrip(b"\0") for each in found] == [frames[1].rstrip(b"\0"), frames[0]]


def test_plain_colours_are_given_as_they_are():
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)

    assert np.array_equal(read_colors(build_dicom(pixels), 1, LIMITS), pixels)
    assert read_colors(build_dicom(make_ramp()), 1, LIMITS) is None


@pytest.mark.parametrize("numbers", [[], [0], [2], [1, 99]])
def test_frames_that_are_not_there_are_refused(numbers):
    with pytest.raises(FrameNotFound):
        read_frames(build_dicom(make_ramp()), numbers, LIMITS)


def test_an_object_without_pixels_has_no_frames():
    dataset = make_dataset(make_ramp())
    del dataset.PixelData

    with pytest.raises(NoPixels):
        read_frames(write_dataset(dataset), [1], LIMITS)


def test_a_cut_file_is_refused():
    with pytest.raises(AegleError):
        read_frames(build_dicom(make_ramp())[:-20], [1], LIMITS)
