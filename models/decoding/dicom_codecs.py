"""One encoded DICOM frame to stored values."""

import zlib
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from models.decoding.codestream import (
    Codestream,
    check_codestream,
    read_codestream,
)
from models.decoding.dicom_layout import PixelLayout
from models.decoding.dicom_rle import decode_rle, unpack_bits
from models.decoding.inflate import inflate
from models.errors import CorruptScan, UnsupportedEncoding

# Retired progressive JPEG; the frame is what baseline and extended decoders read.
_PROGRESSIVE_JPEG = {"1.2.840.10008.1.2.4.53", "1.2.840.10008.1.2.4.55"}
# Deflated Image Frame Compression (PS3.5 A.4.13), not in pydicom's list.
_DEFLATED_FRAME = "1.2.840.10008.1.2.8.1"
_CODESTREAMS = frozenset(
    {
        *JPEGTransferSyntaxes,
        *JPEGLSTransferSyntaxes,
        JPEG2000Lossless,
        JPEG2000,
        *(HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K),
        *_PROGRESSIVE_JPEG,
    }
)
# The others are left to the order that pydicom tries its plugins in.
_PREFERRED_PLUGINS = {str(syntax): "pylibjpeg" for syntax in (JPEG2000Lossless, JPEG2000)}
_MAX_8_BIT = 8


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """One frame as it is stored.

    `values`: integer or float [H, W] or [H, W, 3], stored values; `photometric` is what they
    mean now, which for some codecs differs from what the header says.
    """

    values: NDArray[np.generic]
    photometric: str


def decode_frame(frame: bytes, layout: PixelLayout) -> StoredFrame:
    """Decode one frame, after its own header was held against that of the file.

    Raises:
        CorruptScan: they contradict each other, or the frame is broken.
        UnsupportedEncoding: no codec is at hand.
    """
    if layout.syntax == _DEFLATED_FRAME:
        return StoredFrame(_inflate_frame(frame, layout), layout.photometric)
    if layout.syntax == RLELossless:
        return StoredFrame(decode_rle(frame, layout), layout.photometric)
    if layout.syntax not in _CODESTREAMS:
        raise UnsupportedEncoding("the transfer syntax has no decoder here")
    found = read_codestream(frame)
    check_codestream(found, layout)
    if found.is_lossy_jpeg and found.precision > _MAX_8_BIT:
        return StoredFrame(_decode_deep_jpeg(frame, found, layout), layout.photometric)
    return _decode_by_pydicom(frame, layout)


def build_options(layout: PixelLayout, *, frames: int) -> dict[str, Any]:
    """Give what pydicom's decoders must know, as this project read it."""
    return {
        "pixel_keyword": layout.keyword,
        "pixel_vr": layout.value_representation,
        "rows": layout.rows,
        "columns": layout.columns,
        "number_of_frames": frames,
        "samples_per_pixel": layout.samples,
        "bits_allocated": layout.bits_allocated,
        "bits_stored": layout.bits_stored,
        "pixel_representation": int(layout.is_signed),
        "photometric_interpretation": layout.photometric,
        "planar_configuration": int(layout.is_planar),
    }


def _decode_by_pydicom(frame: bytes, layout: PixelLayout) -> StoredFrame:
    is_progressive = layout.syntax in _PROGRESSIVE_JPEG
    syntax = JPEGExtended12Bit if is_progressive else UID(layout.syntax)
    options = build_options(layout, frames=1) | {"allow_excess_frames": False}
    values, properties = get_decoder(syntax).as_array(
        encapsulate([frame]),
        raw=True,
        decoding_plugin=_PREFERRED_PLUGINS.get(layout.syntax, ""),
        **options,
    )
    return StoredFrame(values, str(properties["photometric_interpretation"]))


def _decode_deep_jpeg(frame: bytes, found: Codestream, layout: PixelLayout) -> NDArray[np.generic]:
    """Decode 12 bit DCT, which pydicom's permissive plugins refuse or get wrong."""
    if found.samples != 1 or layout.is_signed:
        raise UnsupportedEncoding("JPEG of 12 bits is read unsigned and with one sample only")
    values: NDArray[np.generic] = imagecodecs.jpeg_decode(frame)
    if values.shape != (layout.rows, layout.columns):
        raise CorruptScan(f"a frame of {values.shape} pixels was found")
    return values


def _inflate_frame(frame: bytes, layout: PixelLayout) -> NDArray[np.generic]:
    plain = inflate(frame, -zlib.MAX_WBITS, layout.frame_bytes + 1)
    if layout.bits_allocated == 1:
        return unpack_bits(np.frombuffer(plain, dtype=np.uint8), layout)
    if layout.samples != 1 or layout.bits_allocated not in {8, 16, 32}:
        raise UnsupportedEncoding("deflated frames are read with one sample of whole bytes only")
    kind = "i" if layout.is_signed else "u"
    values = np.frombuffer(plain, dtype=f"<{kind}{layout.bits_allocated // 8}")
    return values[: layout.rows * layout.columns].reshape(layout.rows, layout.columns)
