"""Common pictures: depth, colour, palette, and what is noted."""

import struct
import zlib

import imagecodecs
import numpy as np
import pytest

from models.decoding.decode import decode_scan
from models.decoding.limits import DecodeLimits
from models.errors import CorruptScan, MixedSeries, UnsupportedEncoding
from tests.builders.pictures import encode_palette, encode_picture, encode_tiff

LIMITS = DecodeLimits()
GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
DEEP = (np.arange(48, dtype=np.uint16) * 1000).reshape(6, 8)
COLOR = np.stack([GREY, GREY + 50, GREY + 100], axis=-1)
WEIGHTS = np.array([0.299, 0.587, 0.114])


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_lossless_grey_keeps_its_values(kind: str) -> None:
    scan = decode_scan(encode_picture(GREY, kind), LIMITS)

    np.testing.assert_array_equal(scan.pixels[0], GREY)
    assert (scan.bit_depth, scan.is_color, scan.format) == (8, False, kind.lower())


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lossy_grey_is_near(kind: str) -> None:
    scan = decode_scan(encode_picture(GREY, kind, quality=95), LIMITS)

    assert np.abs(scan.pixels[0] - GREY).max() < 8
    assert not scan.is_color


@pytest.mark.parametrize(
    "content",
    [
        encode_picture(DEEP, "PNG"),
        encode_tiff([DEEP], photometric="minisblack"),
        encode_tiff([DEEP], photometric="minisblack", compression="zlib", predictor=True),
        encode_tiff([DEEP], photometric="minisblack", order=">"),
        encode_tiff([DEEP], photometric="minisblack", tile=(16, 16)),
    ],
)
def test_sixteen_bits_stay_sixteen_bits(content: bytes) -> None:
    scan = decode_scan(content, LIMITS)

    np.testing.assert_array_equal(scan.pixels[0], DEEP)
    assert scan.bit_depth == 16


@pytest.mark.parametrize(
    "content",
    [
        encode_picture(COLOR, "PNG"),
        encode_picture(COLOR, "BMP"),
        encode_tiff([COLOR], photometric="rgb"),
        encode_tiff([COLOR.transpose(2, 0, 1)], photometric="rgb", planarconfig="separate"),
    ],
)
def test_colour_becomes_luminance(content: bytes) -> None:
    scan = decode_scan(content, LIMITS)

    np.testing.assert_allclose(scan.pixels[0], COLOR @ WEIGHTS, rtol=1e-6)
    assert scan.is_color
    assert "colour turned to luminance" in scan.notes


def test_grey_stored_as_colour_keeps_its_values_exactly() -> None:
    scan = decode_scan(encode_picture(np.stack([GREY] * 3, axis=-1), "PNG"), LIMITS)

    np.testing.assert_array_equal(scan.pixels[0], GREY)
    assert not scan.is_color


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_twelve_bits_in_sixteen_are_noted(kind: str) -> None:
    scan = decode_scan(encode_picture(np.full((4, 4), 4095, np.uint16), kind), LIMITS)

    assert scan.notes == ("values use 12 of 16 bits",)
    assert scan.pixels.max() == 4095


def test_significant_bits_of_a_png_are_its_depth() -> None:
    plain = encode_picture(DEEP, "PNG")
    body = b"sBIT\x0c"
    chunk = struct.pack(">I", 1) + body + struct.pack(">I", zlib.crc32(body))

    scan = decode_scan(plain[:33] + chunk + plain[33:], LIMITS)

    assert scan.bit_depth == 12


def test_colour_of_sixteen_bits_is_not_cut_to_eight() -> None:
    color = np.stack([DEEP, DEEP // 2, DEEP // 3], axis=-1)

    scan = decode_scan(imagecodecs.png_encode(color), LIMITS)

    np.testing.assert_allclose(scan.pixels[0], color @ WEIGHTS, rtol=1e-6)
    assert scan.bit_depth == 16


def test_a_palette_gives_its_colours() -> None:
    colors = [(0, 0, 0), (255, 0, 0), (10, 20, 30)]
    indices = np.array([[0, 1], [2, 1]], dtype=np.uint8)

    scan = decode_scan(encode_palette(indices, colors), LIMITS)

    np.testing.assert_allclose(scan.pixels[0], (np.array(colors) @ WEIGHTS)[indices], rtol=1e-6)
    assert scan.is_color


def test_transparency_is_ignored_and_noted() -> None:
    rgba = np.dstack([np.stack([GREY] * 3, axis=-1), GREY])

    scan = decode_scan(encode_picture(rgba, "PNG"), LIMITS)

    np.testing.assert_array_equal(scan.pixels[0], GREY)
    assert "transparency ignored" in scan.notes


def test_each_page_of_a_tiff_is_a_slice() -> None:
    scan = decode_scan(encode_tiff([DEEP, DEEP + 1], photometric="minisblack"), LIMITS)

    np.testing.assert_array_equal(scan.pixels, [DEEP, DEEP + 1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_a_tiff_of_other_numbers_keeps_them(dtype: type) -> None:
    values = (np.arange(48).reshape(6, 8) - 20).astype(dtype)

    scan = decode_scan(encode_tiff([values], photometric="minisblack"), LIMITS)

    np.testing.assert_array_equal(scan.pixels[0], values)


def test_white_is_zero_is_turned() -> None:
    scan = decode_scan(encode_tiff([GREY], photometric="miniswhite"), LIMITS)

    np.testing.assert_array_equal(scan.pixels[0], 255 - GREY.astype(int))
    assert scan.is_inverted


def test_pages_of_two_sizes_are_no_scan() -> None:
    with pytest.raises(MixedSeries):
        decode_scan(encode_tiff([GREY, GREY[:3]], photometric="minisblack"), LIMITS)


def test_values_that_are_not_finite_are_noted() -> None:
    values = np.full((4, 4), np.nan, np.float32)

    scan = decode_scan(encode_tiff([values], photometric="minisblack"), LIMITS)

    assert "some pixels are not finite" in scan.notes


@pytest.mark.parametrize("shape", [(1, 1), (1, 10_000), (10_000, 1)])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_odd_sizes_are_decoded(shape: tuple[int, int], kind: str) -> None:
    scan = decode_scan(encode_picture(np.full(shape, 7, np.uint8), kind), LIMITS)

    assert scan.pixels.shape == (1, *shape)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
def test_a_cut_picture_is_refused(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    content = encode_picture(noise, kind)

    with pytest.raises((CorruptScan, UnsupportedEncoding)):
        decode_scan(content[: len(content) // 2], LIMITS)
