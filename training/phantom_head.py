"""The MNI152 template to slices of made-up healthy heads, no two alike.

Every head is the one template, shown through a smooth random deformation, with a contrast, a bias
field, a sharpness and a noise of its own. No person was scanned for it.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.errors import TrainingError
from models.specs import Spec

Floats = NDArray[np.float32]

_TEMPLATE = "datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
# The template's voxels are 1 mm; two of them are still finer than a pixel of the phantoms' slices.
_VOXEL_MM = 2
# Middle of the field of view, from right to left and from back to front, in the template's mm.
CENTER_MM = (0.0, -18.0)
# The template shows the brain alone. Around it are drawn fluid, bone and scalp, so thick.
_FLUID_MM, _BONE_MM, _SCALP_MM = 2.0, 4.0, 4.0
_FLUID, _BONE, _SCALP = 0.15, 0.05, 0.85
# The knots of the smooth fields fill the template's field of view.
_GRID = 5
_FIELD_LOW_MM, _FIELD_SIZE_MM = (-98.0, -134.0, -72.0), (197.0, 233.0, 189.0)


class HeadVariationSpec(Spec):
    """How far made-up heads differ; each number is a standard deviation, or the end of a range."""

    turn_deg: float = 4.0
    shift_mm: float = 3.0
    scale_share: float = 0.03
    deformation_mm: float = 2.5
    gamma_share: float = 0.15
    bias_share: float = 0.15
    noise_share: float = 0.02
    blur_px: float = 0.6


@dataclass(frozen=True, slots=True)
class HeadTemplate:
    """Template of a head.

    `volume`: float32 [X, Y, Z], 0..1, share of the brightest tissue; x grows to the patient's
    right, y to the front, z up.
    `brain`: float32 [X, Y, Z], 0..1; 1 inside the brain.
    `to_voxel`: float64 [4, 4], template mm to voxel numbers.
    """

    volume: Floats
    brain: Floats
    to_voxel: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Head:
    """What makes one head different from the template.

    `turn`: float64 [3, 3], turns and scales. `shift_mm`: float64 [3].
    `bends`: float32 [3, G, G, G], mm, displacement at the knots of a coarse grid.
    `bias`: float32 [G, G, G], factor at the knots.
    """

    turn: NDArray[np.float64]
    shift_mm: NDArray[np.float64]
    bends: Floats
    bias: Floats
    gamma: float
    noise: float
    blur_px: float


def read_template() -> HeadTemplate:
    """Read the template from the installed nilearn, without the network, and add a scalp.

    Raises:
        TrainingError: nilearn is not installed.
    """
    package = importlib.util.find_spec("nilearn")
    path = Path(package.origin).parent / _TEMPLATE if package and package.origin else None
    if path is None or not path.is_file():
        raise TrainingError("the demonstration needs the template of nilearn: install aegle[demo]")
    image = nibabel.load(path)
    fine = np.asarray(image.dataobj, dtype=np.float32)
    trimmed = fine[tuple(slice(0, size // _VOXEL_MM * _VOXEL_MM) for size in fine.shape)]
    blocks = trimmed.reshape([n for size in trimmed.shape for n in (size // _VOXEL_MM, _VOXEL_MM)])
    brain_volume = blocks.mean(axis=(1, 3, 5)) / fine.max()
    affine = image.affine @ np.diag([_VOXEL_MM, _VOXEL_MM, _VOXEL_MM, 1.0])
    affine[:3, 3] += image.affine[:3, :3] @ np.full(3, (_VOXEL_MM - 1) / 2)
    brain = ndimage.binary_fill_holes(ndimage.binary_closing(brain_volume > 0.1, iterations=2))
    return HeadTemplate(
        volume=_add_scalp(brain_volume, brain),
        brain=brain.astype(np.float32),
        to_voxel=np.linalg.inv(affine),
    )


def draw_head(generator: np.random.Generator, spec: HeadVariationSpec) -> Head:
    """Draw what makes one head different."""
    angles = np.deg2rad(generator.normal(0.0, spec.turn_deg, size=3))
    scale = 1.0 + generator.normal(0.0, spec.scale_share, size=3)
    knots = (_GRID, _GRID, _GRID)
    return Head(
        turn=_turn(angles) @ np.diag(scale),
        shift_mm=generator.normal(0.0, spec.shift_mm, size=3),
        bends=generator.normal(0.0, spec.deformation_mm, size=(3, *knots)).astype(np.float32),
        bias=np.exp(generator.normal(0.0, spec.bias_share, size=knots)).astype(np.float32),
        gamma=float(np.exp(generator.normal(0.0, spec.gamma_share))),
        noise=float(spec.noise_share * generator.uniform(0.5, 1.5)),
        blur_px=float(spec.blur_px * generator.uniform(0.0, 1.0)),
    )


def make_grid(side_px: int, pixel_mm: float, height_mm: float) -> NDArray[np.float64]:
    """Give the place of each pixel of an axial slice: float64 [3, H, W], template mm.

    Rows run from front to back, columns from the patient's right to the left, as radiologists look.
    """
    offsets = (np.arange(side_px) - (side_px - 1) / 2) * pixel_mm
    front, right = np.meshgrid(CENTER_MM[1] - offsets, CENTER_MM[0] - offsets, indexing="ij")
    return np.stack([right, front, np.full_like(front, height_mm)])


def show_slice(
    template: HeadTemplate,
    head: Head,
    grid: NDArray[np.float64],
    origins: NDArray[np.float64],
) -> tuple[Floats, Floats]:
    """Show a slice of the head, without noise.

    Args:
        template: the template.
        head: what makes this head different.
        grid: float64 [3, H, W], mm, the slice's pixels as `make_grid` gives them.
        origins: float64 [3, H, W], mm, where the tissue at each pixel was before a lesion pushed
            it; `grid` itself where there is none.

    Returns:
        float32 [H, W], from 0, brightness; and float32 [H, W], 0..1, share of brain.
    """
    weights = _weigh_knots(grid)
    center = np.array([*CENTER_MM, 0.0])[:, None, None]
    moved = np.einsum("ij,jhw->ihw", head.turn, origins - center) + center
    moved += head.shift_mm[:, None, None] + np.stack([_spread(b, weights) for b in head.bends])
    voxels = np.einsum("ij,jhw->ihw", template.to_voxel[:3, :3], moved)
    voxels += template.to_voxel[:3, 3, None, None]
    tissue = ndimage.map_coordinates(template.volume, voxels, order=1)
    brain = ndimage.map_coordinates(template.brain, voxels, order=1)
    brightness = np.clip(tissue, 0.0, 1.0) ** head.gamma * _spread(head.bias, weights)
    return brightness.astype(np.float32), brain


def add_noise(picture: Floats, head: Head, generator: np.random.Generator) -> Floats:
    """Blur the picture as the head's scanner does, and add Rician noise: float32 [H, W], from 0."""
    blurred = ndimage.gaussian_filter(picture, head.blur_px)
    real, imaginary = generator.normal(0.0, head.noise, size=(2, *picture.shape))
    return np.asarray(np.hypot(blurred + real, imaginary), dtype=np.float32)


def _add_scalp(brain_volume: Floats, brain: NDArray[np.bool_]) -> Floats:
    """Draw fluid, bone and scalp around the brain: float32 [X, Y, Z], 0..1."""
    outside_mm = ndimage.distance_transform_edt(~brain) * _VOXEL_MM
    bone_mm = _FLUID_MM + _BONE_MM
    layers = [outside_mm <= _FLUID_MM, outside_mm <= bone_mm, outside_mm <= bone_mm + _SCALP_MM]
    around = np.select(layers, [_FLUID, _BONE, _SCALP], 0.0)
    return np.where(brain, brain_volume, around).astype(np.float32)


def _turn(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn about the three axes, one after the other: float64 [3, 3]."""
    turn = np.eye(3)
    for axis, angle in enumerate(angles):
        one, two = [other for other in range(3) if other != axis]
        step = np.eye(3)
        step[one, one] = step[two, two] = np.cos(angle)
        step[one, two], step[two, one] = -np.sin(angle), np.sin(angle)
        turn = step @ turn
    return turn


def _weigh_knots(grid: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Weigh the knots of the coarse grid by cubic splines, along each axis of a slice.

    Returns:
        float64 [W, G], [H, G] and [1, G], for x, y and z.
    """
    lines = (grid[0, 0, :], grid[1, :, 0], grid[2, 0, :1])
    return [
        np.stack(
            [
                ndimage.map_coordinates(knot, [(line - low) / size * (_GRID - 1)], mode="nearest")
                for knot in np.eye(_GRID)
            ],
            axis=1,
        )
        for line, low, size in zip(lines, _FIELD_LOW_MM, _FIELD_SIZE_MM, strict=True)
    ]


def _spread(knots: Floats, weights: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Spread values at the knots smoothly over a slice: float64 [H, W]."""
    along_x, along_y, along_z = weights
    plane = knots @ along_z[0]
    return np.asarray(along_y @ (along_x @ plane).T)
