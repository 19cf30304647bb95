"""The Image Pixel module (PS3.3 C.7.6.3), held against the limits before memory is taken."""

from dataclasses import dataclass

from pydicom.dataset import FileDataset

from models.decoding.frame_check import check_enough_bytes, check_frames
from models.decoding.limits import DecodeLimits
from models.errors import CorruptScan, NoPixels, UnsupportedEncoding

_PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_FLOAT_BITS = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """How the pixels of one DICOM file are laid out."""

    keyword: str
    rows: int
    columns: int
    frames: int
    samples: int
    bits_allocated: int
    bits_stored: int
    is_signed: bool
    photometric: str
    syntax: str
    is_encapsulated: bool

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame once decoded, packed bits rounded up."""
        bits = self.rows * self.columns * self.samples * self.bits_allocated
        return -(-bits // 8)


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
    if not syntax.is_transfer_syntax:
        raise UnsupportedEncoding("the transfer syntax is not one of the standard")
    bits_allocated = _get_int(dataset, "BitsAllocated", _FLOAT_BITS.get(keyword))
    layout = PixelLayout(
        keyword=keyword,
        rows=_get_int(dataset, "Rows"),
        columns=_get_int(dataset, "Columns"),
        frames=_get_int(dataset, "NumberOfFrames", 1) or 1,
        samples=_get_int(dataset, "SamplesPerPixel", 1),
        bits_allocated=bits_allocated,
        bits_stored=_get_int(dataset, "BitsStored", bits_allocated),
        is_signed=_get_int(dataset, "PixelRepresentation", 0) == 1,
        photometric=str(dataset.get("PhotometricInterpretation") or "MONOCHROME2").strip(),
        syntax=str(syntax),
        is_encapsulated=syntax.is_encapsulated,
    )
    check_frames(layout.rows, layout.columns, layout.frames, limits)
    _check_layout(layout)
    if not layout.is_encapsulated:
        bits = layout.frame_bytes * layout.frames
        if layout.bits_allocated == 1:
            bits = -(-layout.rows * layout.columns * layout.frames // 8)
        if layout.photometric == "YBR_FULL_422":
            bits = bits // 3 * 2
        check_enough_bytes(len(dataset[keyword].value), bits, 1)
    return layout


def _get_int(dataset: FileDataset, keyword: str, default: int | None = None) -> int:
    value = dataset.get(keyword)
    value = default if value is None or value == "" else value
    if value is None:
        raise CorruptScan(f"{keyword} is missing")
    return int(value)


def _check_layout(layout: PixelLayout) -> None:
    if layout.samples not in {1, 3}:
        raise UnsupportedEncoding(f"found {layout.samples} samples a pixel, expected 1 or 3")
    if layout.bits_allocated not in {1, 8, 16, 32, 64}:
        raise UnsupportedEncoding(f"found {layout.bits_allocated} bits allocated")
    if not 1 <= layout.bits_stored <= layout.bits_allocated:
        raise CorruptScan(
            f"found {layout.bits_stored} bits stored in {layout.bits_allocated} allocated"
        )
