"""What the road from bytes to a verdict can refuse; knows no status code.

AegleError
├── DecodeError                 the bytes give no scan
│   ├── UnknownFormat           no decoder knows these first bytes
│   ├── UnsupportedEncoding     the format is known, this codec or photometric form is not
│   ├── CorruptScan             the bytes are cut short, or contradict themselves
│   ├── NoPixels                a valid file that holds no picture
│   ├── MixedSeries             files that do not form one series, or no volume
│   └── LimitExceeded           more than the limits allow
│       ├── TooManyPixels
│       ├── TooManyFrames
│       ├── TooManyBytes
│       ├── NestedTooDeep
│       ├── DecodeTimeout
│       └── MemoryExceeded
├── UnscorableScan              decoded, but the detector cannot look at it
│   ├── EmptyForeground         nothing but background
│   └── NonFinitePixels         NaN or infinity among the pixels
├── BundleError                 the folder is no bundle that may be used
│   ├── BundleNotFound
│   ├── UnknownBundleVersion
│   ├── DigestMismatch
│   ├── InvalidManifest
│   ├── WeightsMismatch
│   └── CheckFailed             the bundle does not reproduce its own scores
├── UnavailableDevice           a GPU was asked for and there is none
├── CalibrationError            no promise can be made from these scores
│   └── TooFewHealthyScans
└── TrainingError               the training run cannot start or go on
    ├── InvalidRecipe
    ├── InvalidCohort
    ├── MissingExtra
    ├── InvalidCheckpoint
    └── TrainingDiverged        the loss is no longer a finite number

The docstring of a class is its default message. Messages say what was found and what was expected,
never a name, an identifier or a free text tag of a patient.
"""


class AegleError(Exception):
    """The scan could not be taken down the road."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (self.__doc__ or "").strip())

    @property
    def code(self) -> str:
        """Stable code word of this error, in snake case: `unknown_format`."""
        name = type(self).__name__
        return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


class DecodeError(AegleError):
    """The bytes give no scan."""


class UnknownFormat(DecodeError):
    """The first bytes belong to no format that is known."""


class UnsupportedEncoding(DecodeError):
    """The format is known, but not this way to encode pixels."""


class CorruptScan(DecodeError):
    """The bytes are cut short or contradict themselves."""


class NoPixels(DecodeError):
    """The file is valid but holds no picture."""


class MixedSeries(DecodeError):
    """The files do not form one series of equal slices."""


class LimitExceeded(DecodeError):
    """The scan asks for more than the limits allow."""


class TooManyPixels(LimitExceeded):
    """The scan declares more pixels than the limits allow."""


class TooManyFrames(LimitExceeded):
    """The scan declares more frames than the limits allow."""


class TooManyBytes(LimitExceeded):
    """The scan holds or inflates to more bytes than the limits allow."""


class NestedTooDeep(LimitExceeded):
    """Sequences or archives are nested deeper than the limits allow."""


class DecodeTimeout(LimitExceeded):
    """Decoding took longer than the limits allow."""


class MemoryExceeded(LimitExceeded):
    """Decoding took more memory than the limits allow."""


class UnscorableScan(AegleError):
    """The scan was decoded, but the detector cannot look at it."""


class EmptyForeground(UnscorableScan):
    """The scan shows nothing but background."""


class NonFinitePixels(UnscorableScan):
    """The scan holds pixels that are not finite numbers."""


class BundleError(AegleError):
    """The folder is not a bundle that may be used."""


class BundleNotFound(BundleError):
    """There is no bundle at this place."""


class UnknownBundleVersion(BundleError):
    """The bundle has a format version that this release does not read."""


class DigestMismatch(BundleError):
    """A file of the bundle differs from its published digest."""


class InvalidManifest(BundleError):
    """The manifest of the bundle cannot be understood."""


class WeightsMismatch(BundleError):
    """The weights do not fit the network that the manifest describes."""


class CheckFailed(BundleError):
    """The bundle does not reproduce the scores of its own check."""


class UnavailableDevice(AegleError):
    """There is no GPU that PyTorch can use here; choose the device cpu or auto."""


class CalibrationError(AegleError):
    """No promise can be made from these scores."""


class TooFewHealthyScans(CalibrationError):
    """There are too few independent healthy scans for any promise."""


class TrainingError(AegleError):
    """The training run cannot start or go on."""


class InvalidRecipe(TrainingError):
    """The recipe cannot be understood."""


class InvalidCohort(TrainingError):
    """The cohort cannot be used for training or evaluation."""


class MissingExtra(TrainingError):
    """The training run needs an optional extra that is not installed."""


class InvalidCheckpoint(TrainingError):
    """The checkpoint does not belong to this training run."""


class TrainingDiverged(TrainingError):
    """The loss is no longer a finite number: try a lower learning rate."""
