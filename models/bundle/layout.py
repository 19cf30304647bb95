"""The files of a bundle on disk."""

from pathlib import Path

FORMAT_VERSION = 2

MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
CALIBRATION = "calibration.json"
CARD = "card.md"
CHECK = "check.json"

# Every file beside the manifest; the manifest holds their digests, its own is the bundle's.
DIGESTED_FILES = (WEIGHTS, CALIBRATION, CARD, CHECK)

# Text files larger than this are not read: no honest bundle comes near.
LARGEST_TEXT_BYTES = 64 * 2**20

# Prefixes of the tensors in the weights file.
NETWORK_PREFIX = "network."
FEATURES_PREFIX = "features."
SCALE_PREFIX = "scale."
PIXELS_MEAN_PREFIX = "pixels_mean."
PIXELS_DEVIATION_PREFIX = "pixels_deviation."
APPEARANCE_PREFIX = "appearance."
PREFIXES = (
    NETWORK_PREFIX,
    FEATURES_PREFIX,
    SCALE_PREFIX,
    PIXELS_MEAN_PREFIX,
    PIXELS_DEVIATION_PREFIX,
    APPEARANCE_PREFIX,
)


def is_bundle(folder: Path) -> bool:
    """Whether the folder looks like a bundle."""
    return (folder / MANIFEST).is_file()
