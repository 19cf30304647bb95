"""TIFF bytes to a decoded scan: each full page is a slice."""

import hashlib
import io
import math

import numpy as np
from numpy.typing import NDArray
from tifffile import COMPRESSION, PHOTOMETRIC, TiffFile, TiffPage

from models.decoding.foreign import translate_foreign
from models.decoding.frame_check import check_enough_bytes, check_frames, note_used_bits
from models.decoding.limits import DecodeLimits
from models.decoding.luminance import compute_luminance, has_color
from models.decoding.scan import DecodedScan
from models.errors import CorruptScan, MixedSeries, NoPixels, UnsupportedEncoding

_COLOR = {PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR}
# The longest string of LZW, 4096 bytes for 12 bits, is about the best of all TIFF codecs.
_MAX_RATIO = 4096
_GREY = {PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE}


def decode_tiff(content: bytes, limits: DecodeLimits) -> DecodedScan:
    """Decode a TIFF file of one or several pages of one size.

    Args:
        content: the file.
        limits: bounds, checked from the page headers.

    Raises:
        DecodeError: the scan cannot be had.
    """
    with translate_foreign("the TIFF picture"), TiffFile(io.BytesIO(content)) as tiff:
        pages = _list_pages(tiff, limits)
        first = pages[0]
        pixels = np.empty((len(pages), first.imagelength, first.imagewidth), dtype=np.float32)
        is_color = False
        for index, page in enumerate(pages):
            pixels[index], colored = _read_page(page)
            is_color = is_color or colored
        is_inverted = first.photometric == PHOTOMETRIC.MINISWHITE
        has_counts = first.dtype is not None and first.dtype.kind == "u" and not is_inverted
        used = note_used_bits(pixels.max(), int(first.bitspersample)) if has_counts else []
        notes = _note_pages(len(tiff.pages) - len(pages), pixels, is_inverted, is_color)
        return DecodedScan(
            pixels=pixels,
            sha256=hashlib.sha256(content).hexdigest(),
            format="tiff",
            bit_depth=int(first.bitspersample),
            is_color=is_color,
            is_inverted=is_inverted,
            notes=(*notes, *used),
        )


def _list_pages(tiff: TiffFile, limits: DecodeLimits) -> list[TiffPage]:
    """Give the full pages, after their sizes were held against the limits."""
    check_frames(1, 1, max(len(tiff.pages), 1), limits)
    pages = [page for page in tiff.pages if isinstance(page, TiffPage) and not page.is_reduced]
    if not pages:
        raise NoPixels("the TIFF file holds no full page")
    shapes = {(page.imagelength, page.imagewidth, page.samplesperpixel) for page in pages}
    if len(shapes) > 1 or len({page.photometric for page in pages}) > 1:
        raise MixedSeries(f"the pages of the TIFF file have {len(shapes)} sizes, expected one")
    check_frames(pages[0].imagelength, pages[0].imagewidth, len(pages), limits)
    for page in pages:
        _check_page(page, limits)
        _check_segments(page, tiff.filehandle.size)
    return pages


def _check_page(page: TiffPage, limits: DecodeLimits) -> None:
    if page.imagedepth != 1 or page.samplesperpixel > 4:
        raise UnsupportedEncoding("a page of the TIFF file is no plain picture")
    if page.photometric not in _COLOR | _GREY | {PHOTOMETRIC.PALETTE}:
        raise UnsupportedEncoding("the photometric interpretation of the TIFF file is not known")
    if page.is_tiled:
        check_frames(page.tilelength, page.tilewidth, 1, limits)
    if page.dtype is None or page.dtype.kind not in "uif":
        raise UnsupportedEncoding("the samples of the TIFF file are no plain numbers")


def _check_segments(page: TiffPage, file_bytes: int) -> None:
    """Refuse missing or cut strips and tiles, which tifffile would fill with zeros."""
    offsets, counts = page.dataoffsets, page.databytecounts
    expected = math.prod(page.chunked)
    if len(offsets) != expected or len(counts) != expected:
        raise CorruptScan(f"a page has {len(offsets)} strips or tiles, expected {expected}")
    if any(count < 1 or at + count > file_bytes for at, count in zip(offsets, counts, strict=True)):
        raise CorruptScan("a strip or tile lies outside of the TIFF file")
    is_plain = page.compression == COMPRESSION.NONE
    check_enough_bytes(sum(counts), page.nbytes, 1 if is_plain else _MAX_RATIO)


def _read_page(page: TiffPage) -> tuple[NDArray[np.float32], bool]:
    """Give float32 [H, W] and whether it was anything but grey."""
    samples: NDArray[np.generic] = page.asarray(maxworkers=1)
    if page.photometric == PHOTOMETRIC.PALETTE and page.colormap is not None:
        rgb = np.moveaxis(page.colormap, 0, -1)[samples]
        is_color = has_color(rgb)
        return compute_luminance(rgb, is_color=is_color), is_color
    if samples.ndim == 3 and page.axes.startswith("S"):
        samples = np.moveaxis(samples, 0, -1)
    if page.photometric in _COLOR:
        is_color = has_color(samples)
        return compute_luminance(samples[..., :3], is_color=is_color), is_color
    grey = (samples[..., 0] if samples.ndim == 3 else samples).astype(np.float32)
    if page.photometric == PHOTOMETRIC.MINISWHITE and samples.dtype.kind == "u":
        grey = np.float32(2**page.bitspersample - 1) - grey
    return grey, False


def _note_pages(
    skipped: int, pixels: NDArray[np.float32], is_inverted: bool, is_color: bool
) -> tuple[str, ...]:
    facts = (
        (skipped > 0, "reduced pages left out"),
        (is_inverted, "white-is-zero turned, so that higher is brighter"),
        (is_color, "colour turned to luminance"),
        (not np.isfinite(pixels).all(), "some pixels are not finite"),
    )
    return tuple(note for holds, note in facts if holds)
