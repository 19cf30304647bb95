"""Which objects are taken in, and which of them are scans.

Every storage class of the standard is taken in. A scan is what a modality drew of a patient:
secondary captures, presentation states, reports, segmentations, maps, plans and doses are kept
beside it and never scored, and so are our own results.
"""

from pydicom.uid import UID_dictionary  # type: ignore[attr-defined] # used as documented

_ROOT = "1.2.840.10008.5.1.4.1.1."
_NOT_KEPT = frozenset(
    {
        "1.2.840.10008.1.3.10",  # DICOMDIR, which lists objects and is none
        "1.2.840.10008.1.20.1",  # storage commitment, a service
        "1.2.840.10008.1.20.2",
    }
)
_SCAN_ENDINGS = (
    *("1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3", "1.3.1"),  # radiography
    *("2", "2.1", "2.2"),  # CT
    *("3", "3.1", "6", "6.1", "6.2", "6.3"),  # ultrasound
    *("4", "4.1", "4.3", "4.4"),  # MR
    *("5", "20", "128", "128.1", "130"),  # nuclear medicine, PET
    *("12.1", "12.1.1", "12.2", "12.2.1", "12.3"),  # angiography, fluoroscopy
    *("13.1.1", "13.1.2", "13.1.3", "13.1.4", "13.1.5"),  # three-dimensional X-ray
    *("14.1", "14.2", "77.1.5.1", "77.1.5.2", "77.1.5.4", "77.1.5.5", "77.1.5.6"),  # eyes, vessels
    *("77.1", "77.2", "77.1.1", "77.1.2", "77.1.3", "77.1.4", "77.1.7"),  # visible light
)

_ENCODINGS = (
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.4",
    "1.2.840.10008.1.2.5",
)

STORAGE_CLASSES = frozenset(
    uid
    for uid, (name, kind, *_) in UID_dictionary.items()
    if kind == "SOP Class" and "Storage" in name and uid not in _NOT_KEPT
)
SCAN_CLASSES = frozenset(_ROOT + ending for ending in _SCAN_ENDINGS)
TRANSFER_SYNTAXES = frozenset(
    {
        "1.2.840.10008.1.2",
        *(
            uid
            for uid, (name, kind, *_) in UID_dictionary.items()
            # JPIP names an address in place of pixels; XML, MIME and streams hold no object.
            if kind == "Transfer Syntax" and uid.startswith(_ENCODINGS) and "JPIP" not in name
        ),
        *(f"1.2.840.10008.1.2.4.{number}" for number in (110, 111, 112)),  # JPEG XL
        "1.2.840.10008.1.2.8.1",  # deflated frames
    }
)
