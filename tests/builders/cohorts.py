"""Small cohorts on disk: pictures that differ from each other, and a cohort.csv."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage


@dataclass(frozen=True)
class Row:
    """One row of a cohort.csv; further columns in `more`."""

    path: str
    split: str = "train"
    label: str = "healthy"
    patient: str = ""
    mask: str = ""
    series: str = ""
    more: dict[str, str] = field(default_factory=dict)


def make_picture(seed: int, side_px: int = 32) -> NDArray[np.uint8]:
    """Make a bright blob with smooth texture on black: uint8 [H, W]; differs from seed to seed."""
    generator = np.random.default_rng(seed)
    texture = ndimage.gaussian_filter(generator.normal(size=(side_px, side_px)), side_px / 10)
    rows, columns = np.mgrid[:side_px, :side_px] / side_px - 0.5
    body = (rows**2 + columns**2) < 0.4**2
    picture = np.where(body, 140 + 60 * texture / np.abs(texture).max(), 0)
    return picture.astype(np.uint8)


def write_picture(path: Path, pixels: NDArray[np.uint8]) -> Path:
    """Write a picture in the format of the path's suffix; makes the folders it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def write_cohort(folder: Path, rows: Sequence[Row], side_px: int = 32) -> Path:
    """Write a cohort.csv and one picture for each path and mask that does not exist yet."""
    for seed, row in enumerate(rows):
        for name in filter(None, (row.path, row.mask)):
            if not (folder / name).exists() and ".." not in name and not name.startswith("/"):
                write_picture(folder / name, make_picture(seed, side_px))
    write_csv(folder, rows)
    return folder


def write_csv(folder: Path, rows: Sequence[Row]) -> Path:
    """Write the table alone."""
    folder.mkdir(parents=True, exist_ok=True)
    more = list(dict.fromkeys(name for row in rows for name in row.more))
    path = folder / "cohort.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "split", "label", "patient", "mask", "series", *more])
        for row in rows:
            known = [row.path, row.split, row.label, row.patient, row.mask, row.series]
            writer.writerow(known + [row.more.get(name, "") for name in more])
    return path
