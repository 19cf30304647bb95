"""One frozen spec for each stage, in the order of the road; the bundle records them all.

No number that changes a result has a default outside this file and the recipes.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Percentile = Annotated[float, Field(ge=0.0, le=100.0)]


class Spec(BaseModel):
    """A frozen set of numbers that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ForegroundSpec(Spec):
    """How the body is told from the background.

    `threshold_share` is the share of the way from the darkest to the brightest pixels of the scan
    above which a pixel belongs to the body; `full` takes the whole picture.
    """

    method: Literal["threshold", "full"] = "threshold"
    threshold_share: Share = 0.05


class PercentileWindowSpec(Spec):
    """Intensity window between two percentiles of the scan's foreground, over all its slices."""

    kind: Literal["percentile"] = "percentile"
    low: Percentile = 1.0
    high: Percentile = 99.0

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low must be under high, found {self.low} and {self.high}")
        return self


class FixedWindowSpec(Spec):
    """Intensity window between two values in real units, for CT."""

    kind: Literal["fixed"]
    low: float
    high: float

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low must be under high, found {self.low} and {self.high}")
        return self


class NoWindowSpec(Spec):
    """No intensity window: the scan's pixels already run from 0 to 1."""

    kind: Literal["none"]


WindowSpec = Annotated[
    PercentileWindowSpec | FixedWindowSpec | NoWindowSpec, Field(discriminator="kind")
]


class NormalizeSpec(Spec):
    """Decoded scan to the square tensor that the network sees."""

    foreground: ForegroundSpec = ForegroundSpec()
    window: WindowSpec = PercentileWindowSpec()
    size_px: int = Field(default=128, ge=16, le=512)
    fit: Literal["pad", "stretch"] = "pad"


class AutoencoderSpec(Spec):
    """Convolutional autoencoder with a dense latent; with `has_variance` it predicts a variance."""

    kind: Literal["ae"] = "ae"
    channels: int = Field(default=1, ge=1, le=64)
    size_px: int = Field(default=128, ge=32, le=512)
    width: int = Field(default=16, ge=4, le=256)
    latent: int = Field(default=16, ge=1, le=4096)
    has_variance: bool = False


class VariationalSpec(Spec):
    """Variational autoencoder (Kingma and Welling 2014, arXiv 1312.6114).

    `samples` > 0 averages that many draws from the posterior in evaluation; 0 uses its mean.
    """

    kind: Literal["vae"]
    channels: int = Field(default=1, ge=1, le=64)
    size_px: int = Field(default=128, ge=32, le=512)
    width: int = Field(default=16, ge=4, le=256)
    latent: int = Field(default=32, ge=1, le=4096)
    samples: int = Field(default=0, ge=0, le=64)


class MemorySpec(Spec):
    """Autoencoder that draws from a memory of healthy latents (Gong et al. 2019, MemAE).

    `shrink` times 1 / `items` is the share of attention under which an item counts for nothing.
    """

    kind: Literal["memae"]
    channels: int = Field(default=1, ge=1, le=64)
    size_px: int = Field(default=64, ge=32, le=512)
    width: int = Field(default=16, ge=4, le=256)
    latent: int = Field(default=64, ge=1, le=4096)
    items: int = Field(default=200, ge=2, le=4096)
    shrink: float = Field(default=1.0, ge=0.0, le=3.0)


class DenoisingUnetSpec(Spec):
    """Denoising U-Net with skip connections (Kascenas et al. 2022, MIDL)."""

    kind: Literal["denoising_unet"]
    channels: int = Field(default=1, ge=1, le=64)
    size_px: int = Field(default=128, ge=32, le=512)
    width: int = Field(default=16, ge=4, le=256)
    levels: int = Field(default=4, ge=2, le=6)


NetworkSpec = Annotated[
    AutoencoderSpec | VariationalSpec | MemorySpec | DenoisingUnetSpec, Field(discriminator="kind")
]


class ErrorMapSpec(Spec):
    """Which distance between scan and reconstruction, how smoothed, how far from the body's edge.

    Lengths are shares of the picture's side. `ssim_sigma_share` is the standard deviation of the
    Gaussian of the structural distance (Wang et al. 2004); `median_px` 1 means no median filter.
    `is_normalized` divides by the healthy mean plus `healthy_deviations` standard deviations of
    each pixel's error plus `healthy_floor`, which keeps pixels that never vary from blowing up.
    """

    distance: Literal["absolute", "squared", "structural", "perceptual", "variance"] = "absolute"
    ssim_sigma_share: Share = 0.05
    median_px: int = Field(default=1, ge=1, le=15)
    smooth_sigma_share: Share = 0.0
    erosion_share: Share = 0.0
    is_normalized: bool = False
    healthy_deviations: float = Field(default=2.0, ge=0.0, le=10.0)
    healthy_floor: float = Field(default=0.05, gt=0.0, le=10.0)

    @model_validator(mode="after")
    def _check_median(self) -> Self:
        if self.median_px % 2 == 0:
            raise ValueError(f"median_px must be odd, found {self.median_px}")
        return self


class HeadSpec(Spec):
    """One way to turn an error map into a number: a distance, and how it is pooled over the body.

    Pool by the mean for diffuse disease, by the hottest share for focal lesions.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    error_map: ErrorMapSpec
    pool: Literal["mean", "top_share", "maximum"]
    top_share: Share = 0.01
    weight: float = Field(default=1.0, gt=0.0)


class ScoreSpec(Spec):
    """The heads, and how the slices of a volume become one score: mean of its hottest slices."""

    heads: tuple[HeadSpec, ...] = Field(min_length=1)
    hottest_slices_share: Share = 0.1

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        names = [head.name for head in self.heads]
        if len(set(names)) != len(names):
            raise ValueError(f"head names must differ, found {names}")
        return self


class RegionSpec(Spec):
    """Which map is shown, and what counts as a region of it.

    `pixel_quantile` of the healthy pixels lie below the pixel threshold, and `clean_share` of the
    held-out healthy slices lie below it whole; 0 leaves that open. Regions smaller than
    `minimum_area_share` of the picture are dropped.
    """

    error_map: ErrorMapSpec
    pixel_quantile: Share = 0.999
    clean_share: float = Field(default=0.0, ge=0.0, lt=1.0)
    minimum_area_share: Share = 0.0005
    maximum_count: int = Field(default=20, ge=1, le=1000)


class PipelineSpec(Spec):
    """Everything between a decoded scan and its score."""

    normalize: NormalizeSpec
    network: NetworkSpec
    score: ScoreSpec
    region: RegionSpec

    @model_validator(mode="after")
    def _check_size(self) -> Self:
        if self.normalize.size_px != self.network.size_px:
            raise ValueError(
                f"normalize gives {self.normalize.size_px} px, "
                f"the network takes {self.network.size_px} px"
            )
        return self
