import numpy as np
import pytest

from models.calibration import calibrate
from training.evaluation_alarms import measure_alarms
from training.units import Unit, UnitTable

THRESHOLD_PATIENTS = 242


def make_units(alarms_by_patient):
    units = UnitTable("scan")
    for patient, alarms in alarms_by_patient.items():
        for number, is_alarm in enumerate(alarms):
            verdict = "anomalous" if is_alarm else "typical"
            name = f"{patient}-{number}"
            units.add(Unit(name, patient, "healthy", 1.0, verdict, "", {}, {}))
    return units


def make_calibration():
    scores = np.linspace(-2.0, 2.0, THRESHOLD_PATIENTS)
    patients = [str(number) for number in range(THRESHOLD_PATIENTS)]
    return calibrate(scores, patients, 0.05, 0.9, np.random.default_rng(0))


def test_a_patient_with_many_scans_has_one_vote():
    units = make_units({"a": [True, True, True, True], "b": [False], "c": [False], "d": [False]})

    found = measure_alarms(units, None)

    assert found["realised"] == pytest.approx(4 / 7)
    assert found["realised_by_patient"] == pytest.approx(1 / 4)


def test_what_is_held_against_the_promise_is_counted_by_patient():
    units = make_units({"often": [True] * 40, **{str(n): [False] for n in range(60)}})

    found = measure_alarms(units, make_calibration())

    assert found["realised"] > found["expected"]["high"]
    assert found["realised_by_patient"] == pytest.approx(1 / 61)
    assert found["is_within_expected"]


def test_too_many_flagged_patients_are_outside_of_the_promise():
    units = make_units({str(number): [number < 20] for number in range(100)})

    found = measure_alarms(units, make_calibration())

    assert found["realised_by_patient"] == pytest.approx(0.2)
    assert not found["is_within_expected"]
