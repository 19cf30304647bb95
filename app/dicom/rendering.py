"""Frames drawn for people: what `rendered` and `thumbnail` of WADO-RS give (PS3.18 10.4.1.1.3)."""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.dicom.errors import FrameNotFound
from app.dicom.frames import read_colors
from app.dicom.retrieval import ObjectReader
from app.dicom.tables import DicomInstanceRow
from models.overlay import choose_window, draw_pixels

JPEG, PNG = "image/jpeg", "image/png"
_KINDS = {JPEG: "JPEG", PNG: "PNG"}
_QUALITY = 90


@dataclass(frozen=True, slots=True)
class RenderOrder:
    """What to draw: `frame` counted from 1, real values for black and white, largest size."""

    frame: int
    window: tuple[float, float] | None
    size_px: tuple[int, int] | None
    kind: str
    quality: int = _QUALITY


def render_frame(reader: ObjectReader, row: DicomInstanceRow, order: RenderOrder) -> bytes:
    """Draw a frame of an instance; colours are kept where they are stored plain.

    Raises:
        FrameNotFound: the object has no such frame.
        DecodeError: it holds no pixels that can be read.
    """
    content = reader.read(row)
    picture = None
    if row.sop_class_uid.startswith("1.2.840.10008.5.1.4.1.1.7") and order.window is None:
        picture = read_colors(content, order.frame, reader.limits)
    if picture is None:
        picture = _draw_grey(reader, content, order)
    return _encode(picture, order)


def _draw_grey(reader: ObjectReader, content: bytes, order: RenderOrder) -> NDArray[np.uint8]:
    scan = reader.decoders.decode([content])
    frames = [source.frame + 1 for source in scan.sources]
    if order.frame not in frames:
        raise FrameNotFound
    pixels = np.nan_to_num(scan.pixels[frames.index(order.frame)]).astype(np.float32)
    return draw_pixels(pixels, order.window or choose_window(scan))


def _encode(picture: NDArray[np.uint8], order: RenderOrder) -> bytes:
    """Encode uint8 [H, W, 3], 0..255."""
    image = Image.fromarray(picture)
    if order.size_px is not None:
        share = min(order.size_px[0] / image.width, order.size_px[1] / image.height)
        size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
        image = image.resize(size, Image.Resampling.BILINEAR)
    stream = io.BytesIO()
    image.save(stream, format=_KINDS[order.kind], quality=order.quality)
    return stream.getvalue()
