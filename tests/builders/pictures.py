"""Pictures, NIfTI volumes and zips made in memory, well formed or not."""

import gzip
import io
import struct
import zipfile
import zlib
from typing import Any

import nibabel
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image


def encode_picture(pixels: NDArray[Any], kind: str, **options: Any) -> bytes:
    """Encode uint8 [H, W] or [H, W, 3], or uint16 [H, W] for PNG, through Pillow."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def encode_palette(pixels: NDArray[np.uint8], colors: list[tuple[int, int, int]]) -> bytes:
    """Encode uint8 [H, W] indices into these colours as PNG."""
    image = Image.fromarray(pixels, mode=None).convert("P")
    image.putpalette([channel for color in colors for channel in color])
    image.frombytes(pixels.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def encode_tiff(pages: list[NDArray[Any]], *, order: str = "<", **options: Any) -> bytes:
    """Encode one page for each array, in this byte order."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, byteorder=order) as writer:
        for page in pages:
            writer.write(page, contiguous=False, metadata=None, **options)
    return buffer.getvalue()


def build_png_flood(columns: int, rows: int, *, idat: bytes = b"") -> bytes:
    """Give a PNG whose header declares this size over next to no bytes."""
    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", idat or zlib.compress(bytes(64))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def build_nifti(voxels: NDArray[Any], affine: NDArray[Any] | None = None) -> bytes:
    """Give a .nii file of [i, j, k]; the affine counts mm to right, front and top."""
    image = nibabel.Nifti1Image(voxels, np.eye(4) if affine is None else affine)
    return bytes(image.to_bytes())


def build_gzip_bomb(voxels: NDArray[Any], inflated_bytes: int) -> bytes:
    """Give a .nii.gz file that goes on with zeros after its volume."""
    return gzip.compress(build_nifti(voxels) + bytes(inflated_bytes), mtime=0)


def build_zip(entries: dict[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Give a zip with these entries."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()
