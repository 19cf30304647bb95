"""Errors and warnings of foreign decoders, turned into ours where they are called."""

import binascii
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import nibabel.casting
import nibabel.filebasedimages
import nibabel.fileholders
import nibabel.orientations
import nibabel.spatialimages
import nibabel.wrapstruct
import PIL.Image
import pydicom.errors

from models.errors import (
    CorruptScan,
    DecodeError,
    MemoryExceeded,
    NestedTooDeep,
    TooManyPixels,
    UnsupportedEncoding,
)

_CONTRADICTIONS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    StopIteration,
    SyntaxError,
    TypeError,
    ValueError,
    Warning,
    binascii.Error,
    struct.error,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    pydicom.errors.BytesLengthException,
    pydicom.errors.InvalidDicomError,
    nibabel.casting.CastingError,
    nibabel.casting.FloatingError,
    nibabel.filebasedimages.ImageFileError,
    nibabel.fileholders.FileHolderError,
    nibabel.orientations.OrientationError,
    nibabel.spatialimages.HeaderDataError,
    nibabel.spatialimages.HeaderTypeError,
    nibabel.spatialimages.ImageDataError,
    nibabel.wrapstruct.WrapStructError,
)


@contextmanager
def translate_foreign(what: str) -> Iterator[None]:
    """Let nothing but a `DecodeError` out of this block, and no warning.

    Args:
        what: the step, as it appears in the message: "the PNG picture". Messages of foreign
            errors are left out, they may quote tags of a patient.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except DecodeError:
        raise
    except MemoryError as error:
        raise MemoryExceeded(f"{what} needs more memory than there is") from error
    except RecursionError as error:
        raise NestedTooDeep(f"{what} is nested too deep") from error
    except NotImplementedError as error:
        raise UnsupportedEncoding(f"{what} is encoded in a way that is not supported") from error
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
        raise TooManyPixels(f"{what} declares too many pixels") from error
    except _CONTRADICTIONS as error:
        raise CorruptScan(f"{what} cannot be read ({type(error).__name__})") from error
