"""Files that ask for more than they hold, each with the error that refuses it."""

import struct

import imagecodecs
import numpy as np
from pydicom.uid import HTJ2K, JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from models.errors import (
    CorruptScan,
    NestedTooDeep,
    TooManyBytes,
    TooManyFrames,
    TooManyPixels,
)
from tests.builders.dicom import (
    build_deflated_bomb,
    build_dicom,
    build_encoded,
    build_nested,
    make_ramp,
)
from tests.builders.pictures import (
    build_gzip_bomb,
    build_png_flood,
    build_zip,
    encode_picture,
    encode_tiff,
)

MEBI = 2**20
SMALL = np.zeros((8, 6), dtype=np.uint8)


def _lie_in_jpeg() -> bytes:
    jpeg = bytearray(encode_picture(SMALL, "JPEG"))
    start = jpeg.index(b"\xff\xc0") + 5
    jpeg[start : start + 4] = struct.pack(">HH", 60000, 60000)
    return bytes(jpeg)


def _lie_in_j2k() -> bytes:
    codestream = bytearray(imagecodecs.jpeg2k_encode(SMALL, codecformat="j2k"))
    start = codestream.index(b"\xff\x51") + 6
    codestream[start : start + 8] = struct.pack(">LL", 60000, 60000)
    return bytes(codestream)


def _lie_in_jpegls() -> bytes:
    codestream = bytearray(imagecodecs.jpegls_encode(SMALL))
    start = codestream.index(b"\xff\xf7") + 5
    codestream[start : start + 4] = struct.pack(">HH", 60000, 60000)
    return bytes(codestream)


def _lie_in_tiff(rows: int) -> bytes:
    tiff = encode_tiff([SMALL], photometric="minisblack")
    entry = struct.pack("<HHII", 257, 4, 1, 8)  # ImageLength, one LONG
    assert entry in tiff
    return tiff.replace(entry, struct.pack("<HHII", 257, 4, 1, rows))


def _zip_in_zips(depth: int) -> bytes:
    archive = build_zip({"a.png": encode_picture(SMALL, "PNG")})
    for _ in range(depth):
        archive = build_zip({"inner.zip": archive})
    return archive


EIGHT = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
RLE_FRAME = struct.pack("<16L", 2, 64, 66, *[0] * 13) + b"\x81\0\x81\0"
BOMBS = {
    "deflated data set": (build_deflated_bomb(256 * MEBI), TooManyBytes),
    "RLE of 60000 x 60000": (
        build_encoded([RLE_FRAME], RLELossless, Rows=60000, Columns=60000),
        TooManyPixels,
    ),
    "RLE of 8000 x 8000": (
        build_encoded([RLE_FRAME], RLELossless, Rows=8000, Columns=8000),
        CorruptScan,
    ),
    "RLE with a segment outside": (
        build_encoded([struct.pack("<16L", 2, 64, 1 << 31, *[0] * 13)], RLELossless),
        CorruptScan,
    ),
    "JPEG larger than declared": (
        build_encoded([_lie_in_jpeg()], JPEGBaseline8Bit, **EIGHT),
        CorruptScan,
    ),
    "JPEG 2000 larger than declared": (
        build_encoded([_lie_in_j2k()], JPEG2000Lossless, **EIGHT),
        CorruptScan,
    ),
    "HTJ2K larger than declared": (build_encoded([_lie_in_j2k()], HTJ2K, **EIGHT), CorruptScan),
    "JPEG-LS larger than declared": (
        build_encoded([_lie_in_jpegls()], JPEGLSLossless, **EIGHT),
        CorruptScan,
    ),
    "NumberOfFrames 2^31-1": (build_dicom(make_ramp(), NumberOfFrames=2**31 - 1), TooManyFrames),
    "NumberOfFrames negative": (build_dicom(make_ramp(), NumberOfFrames=-5), CorruptScan),
    "more frames than bytes": (build_dicom(make_ramp(), NumberOfFrames=1000), CorruptScan),
    "more frames than encoded": (
        build_encoded([encode_picture(SMALL, "JPEG")], JPEGBaseline8Bit, **EIGHT, NumberOfFrames=9),
        CorruptScan,
    ),
    "65535 x 65535 native": (build_dicom(make_ramp(), Rows=65535, Columns=65535), TooManyPixels),
    "200 nested sequences": (build_nested(200), NestedTooDeep),
    "30 nested sequences": (build_nested(30), NestedTooDeep),
    "3000 nested sequences": (build_nested(3000), NestedTooDeep),
    "PNG flood over the limit": (build_png_flood(2**31 - 1, 2**31 - 1), TooManyPixels),
    "PNG flood under the limit": (build_png_flood(8000, 8000), CorruptScan),
    "JPEG flood": (_lie_in_jpeg(), TooManyPixels),
    "TIFF flood over the limit": (_lie_in_tiff(2**31 - 1), TooManyPixels),
    "TIFF flood under the limit": (_lie_in_tiff(2**22), CorruptScan),
    "gzip body": (build_gzip_bomb(np.zeros((4, 4, 4), np.int16), 256 * MEBI), TooManyBytes),
    "zip bomb by ratio": (build_zip({"a.dcm": bytes(32 * MEBI)}), TooManyBytes),
    "zip bomb by size": (build_zip({"a.dcm": bytes(128 * MEBI)}), TooManyBytes),
    "zip of too many files": (build_zip({f"{n}": b"" for n in range(10_001)}), TooManyFrames),
    "zip with ../": (build_zip({"../../etc/passwd": b"x"}), CorruptScan),
    "zip with an absolute name": (build_zip({"/etc/passwd": b"x"}), CorruptScan),
    "zip with ..\\": (build_zip({"..\\..\\boot.ini": b"x"}), CorruptScan),
    "zips in zips": (_zip_in_zips(4), NestedTooDeep),
}
