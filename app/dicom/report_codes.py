"""Codes of reports: standard ones where the standard has them, else of our own scheme."""

from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset

SCHEME = "99AEGLE"


def _own(value: str, meaning: str) -> CodedConcept:
    return CodedConcept(value=value, scheme_designator=SCHEME, meaning=meaning)


IMAGING = CodedConcept(value="363679005", scheme_designator="SCT", meaning="Imaging")
ERROR_MAP = _own("ERROR_MAP", "Distance of scan and reconstruction")
ANOMALY_DETECTION = _own("ANOMALY_DETECTION", "Anomaly detection by reconstruction")
UNLIKE_HEALTHY = _own("UNLIKE_HEALTHY", "Region unlike healthy scans")
SCORE = _own("SCORE", "Anomaly score")
THRESHOLD = _own("THRESHOLD", "Threshold of the anomaly score")
P_VALUE = _own("P_VALUE", "Calibrated p-value among healthy scans")
PEAK = _own("PEAK", "Peak of the error map in multiples of the pixel threshold")
VERDICT = _own("VERDICT", "Verdict")
REVIEW_ADVICE = _own("USE", "Use")
NOT_DIAGNOSTIC = _own("NOT_DIAGNOSTIC", "Not for diagnostic use")
VERDICTS = {
    "typical": _own("TYPICAL", "Not unlike healthy scans; clears nobody"),
    "anomalous": _own("ANOMALOUS", "Unlike healthy scans"),
    "indeterminate": _own("INDETERMINATE", "Cannot be told"),
}


def describe_scheme() -> Dataset:
    """Give the item of the Coding Scheme Identification Sequence (PS3.3 C.12.1.1.3)."""
    item = Dataset()
    item.CodingSchemeDesignator = SCHEME
    item.CodingSchemeName = "Codes of Aegle"
    item.CodingSchemeResponsibleOrganization = "Aegle"
    return item
