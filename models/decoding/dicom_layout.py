"""The Image Pixel module (PS3.3 C.7.6.3), held against the limits before memory is taken."""

import re
from dataclasses import dataclass

from pydicom.dataset import FileDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from models.decoding.foreign import translate_foreign
from models.decoding.frame_check import check_enough_bytes, check_frames
from models.decoding.limits import DecodeLimits
from models.errors import CorruptScan, NoPixels, UnsupportedEncoding

_PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_NATIVE = {ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian}
_LEADING_NUMBER = re.compile(r"[+-]?[0-9]{1,12}")
_PACKED_BITS = 12
_FLOAT_BITS = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """How the pixels of one DICOM file are laid out."""

    keyword: str
    value_representation: str
    rows: int
    columns: int
    frames: int
    samples: int
    bits_allocated: int
    bits_stored: int
    is_signed: bool
    is_planar: bool
    photometric: str
    syntax: str
    is_encapsulated: bool
    notes: tuple[str, ...]

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame once decoded, packed bits rounded up."""
        bits = self.rows * self.columns * self.samples * self.bits_allocated
        return -(-bits // 8)


@translate_foreign("the Image Pixel module")
def read_layout(dataset: FileDataset, limits: DecodeLimits) -> PixelLayout:
    """Read and check how large the pixels are said to be.

    Raises:
        NoPixels: the file holds none.
        CorruptScan: sizes are missing, or contradict each other or the bytes there.
        UnsupportedEncoding: a photometric interpretation or a transfer syntax not known.
        LimitExceeded: more pixels or frames than allowed.
    """
    keyword = next((word for word in _PIXEL_KEYWORDS if dataset.get(word)), None)
    if keyword is None:
        raise NoPixels("the DICOM file holds no pixel data")
    syntax = dataset.file_meta.TransferSyntaxUID
    bits_allocated = _get_int(dataset, "BitsAllocated", _FLOAT_BITS.get(keyword))
    is_native = syntax in _NATIVE
    if is_native:
        _check_high_bit(dataset)
    frames, notes = _read_frame_count(dataset)
    layout = PixelLayout(
        keyword=keyword,
        value_representation=dataset[keyword].VR,
        rows=_get_int(dataset, "Rows"),
        columns=_get_int(dataset, "Columns"),
        frames=frames,
        samples=_get_int(dataset, "SamplesPerPixel", 1),
        bits_allocated=bits_allocated,
        bits_stored=_get_int(dataset, "BitsStored", bits_allocated),
        is_signed=_get_int(dataset, "PixelRepresentation", 0) == 1,
        # Codecs interleave samples, but RLE's puts planes out and says so.
        is_planar=is_native and _get_int(dataset, "PlanarConfiguration", 0) == 1,
        photometric=str(dataset.get("PhotometricInterpretation") or "MONOCHROME2").strip(),
        syntax=str(syntax),
        is_encapsulated=not is_native,
        notes=notes,
    )
    check_frames(layout.rows, layout.columns, layout.frames, limits)
    _check_layout(layout)
    if not layout.is_encapsulated:
        check_enough_bytes(len(dataset[keyword].value), _count_native_bytes(layout), 1)
    return layout


def _count_native_bytes(layout: PixelLayout) -> int:
    if layout.bits_allocated == 1:
        return -(-layout.rows * layout.columns * layout.samples * layout.frames // 8)
    if layout.photometric == "YBR_FULL_422":
        return layout.frame_bytes * layout.frames // 3 * 2
    return layout.frame_bytes * layout.frames


def _read_frame_count(dataset: FileDataset) -> tuple[int, tuple[str, ...]]:
    """Give the number of frames; of a malformed one the digits it begins with, as others do."""
    text = str(dataset.get("NumberOfFrames") or "1").strip()
    digits = _LEADING_NUMBER.match(text)
    if digits is None:
        raise CorruptScan("NumberOfFrames is no number")
    notes = () if digits[0] == text else ("NumberOfFrames is malformed",)
    return int(digits[0]) or 1, notes


def _get_int(dataset: FileDataset, keyword: str, default: int | None = None) -> int:
    value = dataset.get(keyword)
    value = default if value is None or value == "" else value
    if value is None:
        raise CorruptScan(f"{keyword} is missing")
    return int(value)


def _check_high_bit(dataset: FileDataset) -> None:
    """Refuse native values that do not lie in the low bits (retired form of PS3.5 8.1.1)."""
    stored, high_bit = dataset.get("BitsStored"), dataset.get("HighBit")
    if isinstance(stored, int) and isinstance(high_bit, int) and high_bit != stored - 1:
        raise UnsupportedEncoding(f"found {stored} bits stored up to bit {high_bit}")


def _check_layout(layout: PixelLayout) -> None:
    if layout.samples not in {1, 3}:
        raise UnsupportedEncoding(f"found {layout.samples} samples a pixel, expected 1 or 3")
    is_packed = layout.bits_allocated == _PACKED_BITS
    if is_packed and (layout.is_encapsulated or layout.samples != 1 or layout.is_signed):
        raise UnsupportedEncoding("12 bits allocated are read native, unsigned and grey only")
    if layout.bits_allocated not in {1, 8, _PACKED_BITS, 16, 32, 64}:
        raise UnsupportedEncoding(f"found {layout.bits_allocated} bits allocated")
    if not 1 <= layout.bits_stored <= layout.bits_allocated:
        raise CorruptScan(
            f"found {layout.bits_stored} bits stored in {layout.bits_allocated} allocated"
        )
