"""PNG, JPEG, WebP and BMP bytes to a decoded scan."""

import hashlib
import io
import struct

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from models.decoding.foreign import translate_foreign
from models.decoding.frame_check import check_enough_bytes, check_frames, note_used_bits
from models.decoding.limits import DecodeLimits
from models.decoding.luminance import compute_luminance, has_color
from models.decoding.scan import DecodedScan
from models.errors import CorruptScan

_GREY_MODES = {"1", "L", "I", "I;16", "I;16B", "F"}
_EXIF_ORIENTATION = 0x0112
# Deflate gives at most 1032 bytes for one (RFC 1951 with a length of 258 in two bits).
_DEFLATE_RATIO = 1032
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def decode_raster(content: bytes, kind: str, limits: DecodeLimits) -> DecodedScan:
    """Decode one picture of a common format.

    Args:
        content: the whole file.
        kind: png, jpeg, webp or bmp, as the bytes say.
        limits: bounds, checked from the header.

    Raises:
        DecodeError: the picture cannot be had.
    """
    with translate_foreign(f"the {kind.upper()} picture"):
        depth = _check_png(content, limits) if kind == "png" else 8
        with Image.open(io.BytesIO(content), formats=[kind.upper()]) as image:
            check_frames(image.height, image.width, 1, limits)
            notes = _note_image(image)
            samples = _read_samples(content, image, depth)
    if samples.dtype.kind == "u":
        notes += note_used_bits(samples.max(), depth)
    is_color = samples.ndim == 3 and has_color(samples)
    if samples.ndim == 3:
        notes.append("colour turned to luminance" if is_color else "grey stored as colour")
        samples = compute_luminance(samples, is_color=is_color)
    return DecodedScan(
        pixels=samples.astype(np.float32)[None],
        sha256=hashlib.sha256(content).hexdigest(),
        format=kind,
        bit_depth=depth,
        is_color=is_color,
        notes=tuple(notes),
    )


def _check_png(content: bytes, limits: DecodeLimits) -> int:
    """Hold the PNG header against limits and bytes; give the bits of a sample."""
    if len(content) < 29 or content[12:16] != b"IHDR":
        raise CorruptScan("the PNG file does not begin with its header")
    columns, rows, depth, color_type = struct.unpack(">IIBB", content[16:26])
    check_frames(rows, columns, 1, limits)
    bits = columns * _PNG_CHANNELS.get(color_type, 1) * depth
    check_enough_bytes(len(content), rows * bits / 8, _DEFLATE_RATIO)
    significant = content.find(b"sBIT", 29, 1024)
    if significant > 0 and depth == 16:
        depth = max(content[significant + 4 : significant + 5] + b"\0")
    return 8 if color_type == 3 else int(min(max(depth, 1), 16))


def _note_image(image: Image.Image) -> list[str]:
    notes = []
    if getattr(image, "n_frames", 1) > 1:
        notes.append("only the first of several frames taken")
    if image.mode in {"LA", "PA", "RGBA", "La", "RGBa"} or "transparency" in image.info:
        notes.append("transparency ignored")
    if image.getexif().get(_EXIF_ORIENTATION, 1) not in {0, 1}:
        notes.append("turned as its EXIF orientation says")
    return notes


def _read_samples(content: bytes, image: Image.Image, depth: int) -> NDArray[np.generic]:
    """Give grey [H, W] or colour [H, W, 3]; 16 bit colour goes past Pillow, which cuts it to 8."""
    if image.format == "PNG" and depth > 8 and image.mode not in _GREY_MODES:
        wide: NDArray[np.generic] = imagecodecs.png_decode(content)
        return wide[..., 0] if wide.shape[-1] == 2 else wide[..., :3]
    upright = ImageOps.exif_transpose(image)
    if upright.mode in _GREY_MODES:
        samples = np.asarray(upright)
        return samples.astype(np.uint8) * 255 if upright.mode == "1" else samples
    if upright.mode in {"LA", "La"}:
        return np.asarray(upright.getchannel(0))
    return np.asarray(upright.convert("RGB"))
