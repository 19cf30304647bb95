"""A finding's error map as a DICOM Parametric Map of float32."""

import numpy as np
from highdicom.content import VOILUTTransformation
from highdicom.enum import ContentQualificationValues
from highdicom.pm import ParametricMap, RealWorldValueMapping
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from app.dicom.report_codes import ERROR_MAP
from app.dicom.report_facts import MAKER, WARNING, ReportKind, ReportOrder
from app.dicom.report_objects import finish_report, name_report
from app.dicom.report_sources import UTF8, build_stand_ins
from models.overlay import COLOR_RANGE


def build_parametric_map(order: ReportOrder, error_map: NDArray[np.float32]) -> Dataset:
    """Give the error map, frame by frame where its slices lie.

    Args:
        order: the finding and its scan.
        error_map: float32 [S, H, W], >= 0, multiples of the pixel threshold.
    """
    low, high = COLOR_RANGE
    largest = max(float(error_map.max()), high)
    dataset = ParametricMap(
        source_images=build_stand_ins(order),
        pixel_array=error_map,
        real_world_value_mappings=[
            RealWorldValueMapping(
                lut_label="error_map",
                lut_explanation="multiples of the pixel threshold",
                unit=codes.UCUM.NoUnits,
                value_range=(0.0, largest),
                slope=1.0,
                intercept=0.0,
                quantity_definition=ERROR_MAP,
            )
        ],
        voi_lut_transformations=[
            VOILUTTransformation(
                window_center=(low + high) / 2,
                window_width=high - low,
            )
        ],
        contains_recognizable_visual_features=False,
        content_qualification=ContentQualificationValues.RESEARCH,
        content_label="ERROR_MAP",
        content_description=f"Error map of {MAKER}. {WARNING}"[:64],
        content_creator_name=MAKER,
        specific_character_set=UTF8,
        **name_report(order.finding, ReportKind.PARAMETRIC_MAP),
    )
    dataset.Laterality = ""
    return finish_report(dataset, order)
