"""Pictures that are no scan of the cohort: turned, inverted, cut out, photographs, text, noise."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from sklearn.datasets import load_sample_images

Picture = NDArray[np.float32]

CHANGED: dict[str, Callable[[Picture, np.random.Generator], Picture]] = {
    "turned by 90": lambda picture, _: np.rot90(picture),
    "turned by 180": lambda picture, _: np.rot90(picture, 2),
    "turned by 270": lambda picture, _: np.rot90(picture, 3),
    "flipped": lambda picture, _: picture[::-1],
    "inverted": lambda picture, _: picture.max() - picture,
    "left half": lambda picture, _: picture[:, : picture.shape[1] // 2],
    "upper half": lambda picture, _: picture[: picture.shape[0] // 2],
    "cut out": lambda picture, generator: cut_out(picture, 0.5, generator),
}


def cut_out(picture: Picture, share: float, generator: np.random.Generator) -> Picture:
    """Cut a window anywhere: this share of both sides."""
    rows, columns = (round(side * share) for side in picture.shape)
    top = generator.integers(0, picture.shape[0] - rows + 1)
    left = generator.integers(0, picture.shape[1] - columns + 1)
    return picture[top : top + rows, left : left + columns]


def make_photographs(count: int, generator: np.random.Generator) -> list[Picture]:
    """Cut windows of all sizes out of the photographs that scikit-learn brings along."""
    photographs = [image.mean(axis=2).astype(np.float32) for image in load_sample_images().images]
    return [
        cut_out(photographs[index % len(photographs)], generator.uniform(0.3, 1.0), generator)
        for index in range(count)
    ]


def make_text(count: int, generator: np.random.Generator) -> list[Picture]:
    """Draw pages of words, black on white and white on black in turn."""
    pages = []
    for index in range(count):
        ink = 255 * (index % 2)
        page = Image.new("L", (512, int(generator.integers(300, 800))), 255 - ink)
        pen = ImageDraw.Draw(page)
        for line in range(10, page.height - 20, 15):
            words = ["".join(generator.choice(list("aeinorst"), 5)) for _ in range(12)]
            pen.text((12, line), " ".join(words[: generator.integers(2, 13)]), fill=ink)
        pages.append(np.asarray(page, dtype=np.float32))
    return pages


def make_noise(count: int, generator: np.random.Generator) -> list[Picture]:
    """Draw noise from fine to coarse."""
    noise = [
        ndimage.gaussian_filter(generator.standard_normal((256, 256)), (0, 1, 3, 8, 16)[index % 5])
        for index in range(count)
    ]
    return [(each - each.min()).astype(np.float32) for each in noise]


def make_patterns() -> list[Picture]:
    """Draw ramps, discs and chequers."""
    rows, columns = (np.mgrid[:256, :256] / 255.0).astype(np.float32)
    ramps = [np.cos(a) * rows + np.sin(a) * columns + 2 for a in np.linspace(0, 6, 15)]
    discs = [
        ((rows - 0.5) ** 2 + (columns - 0.5) ** 2 < r * r) * 1.0 for r in np.linspace(0.1, 0.5, 15)
    ]
    chequers = [(np.floor(rows * k) + np.floor(columns * k)) % 2 for k in range(2, 17)]
    return [each.astype(np.float32) for each in (*ramps, *discs, *chequers)]
