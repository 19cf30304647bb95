"""Lesions for made-up heads: where they are is known, because they were put there."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.specs import Spec

Floats = NDArray[np.float32]
LesionKind = Literal["bright", "dark", "texture"]
KINDS: tuple[LesionKind, ...] = ("bright", "dark", "texture")

# Reach of the pushed tissue around a lesion, in radii.
_PUSH_REACH = 2.0
_EDGE_MM = 1.5
# A slice that cuts less of the lesion than this shows none of it: nobody could see it.
_MINIMUM_AREA_MM2 = 25.0
_DIRECTIONS = 12


class LesionSpec(Spec):
    """How lesions differ; pairs are the ends of a range.

    Brightness is a share of the brightest tissue. `texture` is the standard deviation of its
    speckle, `push_share` how far tissue is pushed away, in radii.
    """

    radius_mm: tuple[float, float] = (5.0, 16.0)
    bright: tuple[float, float] = (1.0, 1.3)
    dark: tuple[float, float] = (0.15, 0.4)
    texture: tuple[float, float] = (0.1, 0.25)
    push_share: tuple[float, float] = (0.0, 0.35)
    uneven_share: float = 0.15


@dataclass(frozen=True, slots=True)
class Lesion:
    """One lesion.

    `center_mm`: float64 [3], template mm. `bumps`: float64 [D, 4], a direction and how much further
    the lesion reaches there. `level` is its brightness, or the strength of its speckle.
    """

    kind: LesionKind
    center_mm: NDArray[np.float64]
    radius_mm: float
    level: float
    push_mm: float
    bumps: NDArray[np.float64]


def draw_lesion(
    places: NDArray[np.float64], brain: Floats, generator: np.random.Generator, spec: LesionSpec
) -> Lesion:
    """Draw a lesion with its middle on a slice, inside the brain.

    Args:
        places: float64 [3, H, W], mm, the slice's pixels.
        brain: float32 [H, W], 0..1, share of brain there.
        generator: decides everything about it.
        spec: how lesions differ.
    """
    kind = KINDS[int(generator.integers(len(KINDS)))]
    radius_mm = float(generator.uniform(*spec.radius_mm))
    depth_mm = ndimage.distance_transform_edt(brain > 0.5) * _measure_pixel_mm(places)
    # Half of it inside at least; where the brain is too thin for that, at its deepest place.
    deep = np.flatnonzero(depth_mm >= min(radius_mm / 2, float(depth_mm.max())))
    pixel = generator.choice(deep)
    directions = generator.normal(size=(_DIRECTIONS, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    reach = generator.normal(0.0, spec.uneven_share, size=(_DIRECTIONS, 1))
    return Lesion(
        kind=kind,
        center_mm=places.reshape(3, -1)[:, pixel],
        radius_mm=radius_mm,
        level=float(generator.uniform(*getattr(spec, kind))),
        push_mm=radius_mm * float(generator.uniform(*spec.push_share)),
        bumps=np.concatenate([directions, reach], axis=1),
    )


def push_places(places: NDArray[np.float64], lesion: Lesion) -> NDArray[np.float64]:
    """Say where the tissue at each place was before the lesion pushed it: float64 [3, H, W]."""
    away = places - lesion.center_mm[:, None, None]
    distance = np.linalg.norm(away, axis=0)
    reach = lesion.radius_mm * _PUSH_REACH
    fading = np.clip(1.0 - distance / reach, 0.0, 1.0)
    return np.asarray(places - away / np.maximum(distance, 1e-6) * fading * lesion.push_mm)


def add_lesion(
    picture: Floats,
    brain: Floats,
    places: NDArray[np.float64],
    lesion: Lesion,
    generator: np.random.Generator,
) -> tuple[Floats, NDArray[np.bool_]]:
    """Draw the lesion over a slice.

    Args:
        picture: float32 [H, W], from 0, brightness.
        brain: float32 [H, W], 0..1, share of brain; a lesion ends where the brain does.
        places: float64 [3, H, W], mm.
        lesion: what to draw.
        generator: decides the speckle.

    Returns:
        float32 [H, W], the changed picture; and bool [H, W], True inside the lesion.
    """
    cover = _measure_cover(places, lesion) * brain
    mask = cover > 0.5
    if mask.sum() * _measure_pixel_mm(places) ** 2 < _MINIMUM_AREA_MM2:
        return picture, np.zeros_like(mask)
    if lesion.kind == "texture":
        speckle = ndimage.gaussian_filter(generator.normal(size=picture.shape), 1.0)
        inside = picture + lesion.level * speckle / speckle.std()
    else:
        inside = np.full_like(picture, lesion.level)
    changed = picture + cover * (inside - picture)
    return np.maximum(changed, 0.0).astype(np.float32), mask


def _measure_cover(places: NDArray[np.float64], lesion: Lesion) -> NDArray[np.float64]:
    """Measure how much of each pixel the lesion covers: float64 [H, W], 0..1."""
    away = places - lesion.center_mm[:, None, None]
    distance = np.linalg.norm(away, axis=0)
    direction = away / np.maximum(distance, 1e-6)
    along = np.einsum("di,ihw->dhw", lesion.bumps[:, :3], direction)
    reach = 1.0 + np.einsum("d,dhw->hw", lesion.bumps[:, 3], np.maximum(along, 0.0) ** 4)
    inside_mm = lesion.radius_mm * np.clip(reach, 0.7, 1.5) - distance
    return np.asarray(1.0 / (1.0 + np.exp(np.clip(-inside_mm / _EDGE_MM, -50.0, 50.0))))


def _measure_pixel_mm(places: NDArray[np.float64]) -> float:
    """Measure the distance of two rows of a slice, in mm."""
    return abs(float(places[1, 1, 0] - places[1, 0, 0]))
