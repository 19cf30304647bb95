"""What hypothesis draws: scans, specs, scores; kept together."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models.calibration import Calibration, Promise
from models.domain import CHANGES, AppearanceDomain, Domain, StatisticsDomain
from models.specs import (
    FixedWindowSpec,
    ForegroundSpec,
    NormalizeSpec,
    NoWindowSpec,
    PercentileWindowSpec,
)
from tests.builders.scans import make_scan

sides = st.integers(1, 70)
spacings = st.none() | st.tuples(st.floats(0.05, 20.0), st.floats(0.05, 20.0))
finite_scores = st.floats(-1e6, 1e6)


@st.composite
def scans(draw):
    """Scans of any small shape, any spacing, values from flat to the ends of float32."""
    shape = (draw(st.integers(1, 3)), draw(sides), draw(sides))
    scale = draw(st.sampled_from([1e-30, 1.0, 4095.0, 1e30]))
    seed = draw(st.integers(0, 2**32 - 1))
    pixels = np.random.default_rng(seed).normal(size=shape) * scale
    if draw(st.booleans()):
        pixels = np.maximum(pixels, 0.0)
    return make_scan(pixels.astype(np.float32), spacing_mm=draw(spacings))


windows = st.one_of(
    st.just(PercentileWindowSpec()),
    st.just(FixedWindowSpec(kind="fixed", low=-100.0, high=400.0)),
    st.just(NoWindowSpec(kind="none")),
)
normalize_specs = st.builds(
    NormalizeSpec,
    foreground=st.sampled_from([ForegroundSpec(), ForegroundSpec(method="full")]),
    window=windows,
    size_px=st.sampled_from([16, 32, 48]),
    fit=st.sampled_from(["pad", "stretch"]),
)

score_lists = st.lists(finite_scores, min_size=5, max_size=40)

promises = st.builds(
    Promise,
    kind=st.just("conditional"),
    rate=st.floats(0.01, 0.5),
    confidence=st.floats(0.5, 0.99),
    wanted_rate=st.floats(0.01, 0.5),
    wanted_confidence=st.floats(0.5, 0.99),
    needed_patients=st.integers(1, 500),
    patients=st.integers(1, 500),
)


@st.composite
def calibrations(draw):
    """Calibrations with any threshold among their scores."""
    scores = tuple(sorted(draw(score_lists)))
    return Calibration(
        scores=scores, threshold=draw(st.sampled_from(scores)), promise=draw(promises)
    )


@st.composite
def appearance_domains(draw):
    """Limits of how scans may look."""
    return AppearanceDomain(
        distance_limit=draw(st.floats(0.1, 100.0)),
        likeness_limit=draw(st.floats(-100.0, 100.0)),
        changes=tuple(draw(st.sets(st.sampled_from(sorted(CHANGES))))),
        rate=0.01,
        slices=draw(st.integers(1, 1000)),
        patients=draw(st.integers(1, 1000)),
    )


@st.composite
def domains(draw):
    """Domains that know some modalities."""
    count = 7
    return Domain(
        modalities=tuple(draw(st.sets(st.sampled_from(["CT", "MR", "DX"])))),
        body_parts=tuple(draw(st.sets(st.sampled_from(["CHEST", "HEAD"])))),
        accepts_unstated=draw(st.booleans()),
        accepts_color=draw(st.booleans()),
        shortest_side_px=draw(st.integers(1, 512)),
        longest_side_px=draw(st.integers(512, 4096)),
        largest_aspect=draw(st.floats(1.0, 3.0)),
        statistics=StatisticsDomain(
            mean=(0.5,) * count,
            precision=tuple(tuple(map(float, row)) for row in np.eye(count)),
            limit=draw(st.floats(0.1, 100.0)),
        ),
        appearance=draw(st.none() | appearance_domains()),
    )


def maps(side: int):
    """Error maps: float32 [side, side], 0..10."""
    return arrays.arrays(np.float32, (side, side), elements=st.floats(0.0, 10.0, width=32))
