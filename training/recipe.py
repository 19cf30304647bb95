"""The description of one training run, read from TOML: what is learned, how long, what is promised.

A number that a recipe leaves out has its default here, beside the reason for it.
"""

import hashlib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from models.errors import InvalidRecipe
from models.specs import PipelineSpec, Share, Spec

RECIPE_FOLDER = Path(__file__).parent / "recipes"


class DistanceLossSpec(Spec):
    """Distance of scan and reconstruction, averaged over the foreground of each scan."""

    kind: Literal["squared", "absolute"]


class StructuralLossSpec(Spec):
    """1 - SSIM (Wang et al. 2004), mixed with the absolute distance by `structural_share`.

    A share under 1 keeps the grey level, which SSIM alone hardly sees (Zhao et al. 2017).
    """

    kind: Literal["structural"]
    ssim_sigma_share: Share = 0.05
    structural_share: Share = 0.5


class LikelihoodLossSpec(Spec):
    """Gaussian negative log likelihood with a learned variance (Mao et al. 2020, AE-U).

    `beta` weighs each pixel by its variance to that power (Seitzer et al. 2022, beta-NLL): at 0 the
    plain likelihood, which may stop learning where it is unsure.
    """

    kind: Literal["gaussian_likelihood"]
    beta: Share = 0.5


class EvidenceLossSpec(Spec):
    """Evidence lower bound of a variational autoencoder (Kingma and Welling 2014).

    `beta` weighs the divergence (Higgins et al. 2017) and grows from 0 over the first
    `warmup_share` of the training (Bowman et al. 2016), which keeps the latent from collapsing.
    """

    kind: Literal["evidence"]
    beta: float = Field(default=1.0, ge=0.0)
    warmup_share: Share = 0.25
    decoder_sigma: float = Field(default=0.1, gt=0.0)


class MemoryLossSpec(Spec):
    """Squared distance, and the entropy of reading a memory (Gong et al. 2019, eq. 10)."""

    kind: Literal["memory"]
    entropy_weight: float = Field(default=2e-4, ge=0.0)


class PerceptualLossSpec(Spec):
    """Relative distance on frozen features (Shvetsova et al. 2021, AE-PL); needs the extra."""

    kind: Literal["perceptual"]


LossSpec = Annotated[
    DistanceLossSpec
    | StructuralLossSpec
    | LikelihoodLossSpec
    | EvidenceLossSpec
    | MemoryLossSpec
    | PerceptualLossSpec,
    Field(discriminator="kind"),
]


class AugmentSpec(Spec):
    """How far a healthy scan may be moved and still be a plausible healthy scan."""

    shift_share: Share = 0.04
    rotation_deg: float = Field(default=5.0, ge=0.0, le=180.0)
    scale_share: Share = 0.05
    gamma_share: Share = 0.1
    flip_rows: bool = False
    flip_columns: bool = False


class NoiseSpec(Spec):
    """Coarse noise for denoising networks (Kascenas et al. 2022): cells, strength."""

    cells: int = Field(default=16, ge=2, le=256)
    sigma: float = Field(default=0.2, ge=0.0, le=1.0)


class OptimizerSpec(Spec):
    """AdamW (Loshchilov and Hutter 2019), its schedule, and how many scans it sees.

    The budget is counted in slices seen, not in epochs: a small cohort is then not trained too
    short, nor a large one too long.
    """

    images_seen: int = Field(default=12_000, ge=1)
    batch_size: int = Field(default=16, ge=1, le=4096)
    learning_rate: float = Field(default=2e-3, gt=0.0, le=1.0)
    weight_decay: float = Field(default=1e-4, ge=0.0, le=1.0)
    gradient_clip: float = Field(default=1.0, gt=0.0)
    schedule: Literal["one_cycle", "cosine"] = "one_cycle"
    warmup_share: Share = 0.3
    precision: Literal["auto", "float32", "bfloat16"] = "auto"

    @property
    def steps(self) -> int:
        """Number of optimizer steps, at least one."""
        return max(1, round(self.images_seen / self.batch_size))


class SelectionSpec(Spec):
    """How the weights that are kept are chosen, without any scan that is not healthy.

    Every `interval_share` of the training the separation of synthetic anomalies is measured on
    `slices` healthy validation slices. Only the last `candidate_share` is eligible: before the
    learning rate is low, scores are poor and mislead. There, later weights are preferred unless
    their separation falls more than `tolerance` under the best: between neighbouring checks the
    measure moves by its own noise (standard error about 0.03), while more steps at a low rate go on
    to help. `patience` such falls in a row end the training. The weights are an average over the
    last 1 / (1 - `ema_decay`) steps: over 50 steps a short run lagged, by 0.01 of AUROC.
    """

    interval_share: Share = 0.05
    candidate_share: Share = 0.2
    tolerance: Share = 0.02
    patience: int = Field(default=3, ge=1)
    slices: int = Field(default=48, ge=2, le=4096)
    ema_decay: float = Field(default=0.9, ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _check_shares(self) -> Self:
        if self.interval_share <= 0.0 or self.candidate_share <= 0.0:
            raise ValueError("interval_share and candidate_share must be over 0")
        return self


class FoldsSpec(Spec):
    """Shares of the healthy training patients in each fold; they sum to 1.

    Calibration is large because a promise needs independent patients: 45 for 5 % with 90 %.
    """

    fit: Share = 0.65
    validation: Share = 0.05
    fusion: Share = 0.10
    calibration: Share = 0.20

    @model_validator(mode="after")
    def _check_sum(self) -> Self:
        total = self.fit + self.validation + self.fusion + self.calibration
        if abs(total - 1.0) > 1e-6:
            raise ValueError(f"the shares must sum to 1, found {total:g}")
        return self


class PromiseSpec(Spec):
    """At most `rate` of healthy scans are flagged, with `confidence` over calibrations."""

    rate: float = Field(default=0.05, gt=0.0, lt=1.0)
    confidence: float = Field(default=0.9, gt=0.0, lt=1.0)


class Recipe(Spec):
    """One published way to train: from cohort to bundle, nothing else decides a number."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    summary: str = Field(min_length=1, max_length=200)
    pipeline: PipelineSpec
    loss: LossSpec
    augment: AugmentSpec = AugmentSpec()
    noise: NoiseSpec | None = None
    optimizer: OptimizerSpec = OptimizerSpec()
    selection: SelectionSpec = SelectionSpec()
    folds: FoldsSpec = FoldsSpec()
    promise: PromiseSpec = PromiseSpec()

    @model_validator(mode="after")
    def _check_loss_fits_network(self) -> Self:
        network = self.pipeline.network
        has_variance = network.kind == "ae" and network.has_variance
        pairs = (
            ("gaussian_likelihood", "a network with has_variance", has_variance),
            ("evidence", "a network of kind vae", network.kind == "vae"),
            ("memory", "a network of kind memae", network.kind == "memae"),
        )
        for kind, wanted, is_given in pairs:
            if (self.loss.kind == kind) != is_given:
                raise ValueError(f"loss {kind} goes with {wanted}, and the other way round")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of everything the recipe says, independent of layout and comments."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def list_recipes() -> tuple[Recipe, ...]:
    """Published recipes, the default first, then by name."""
    paths = sorted(RECIPE_FOLDER.glob("*.toml"), key=lambda p: (p.stem != "default", p.stem))
    return tuple(_read_toml(path) for path in paths)


def read_recipe(name_or_path: str | Path) -> Recipe:
    """Read a published recipe by its name, or any recipe by the path of its TOML file.

    Raises:
        InvalidRecipe: there is none, it is no TOML, or a key is unknown or has a wrong value.
    """
    path = Path(name_or_path)
    if path.suffix == ".toml":
        return _read_toml(path)
    published = {p.stem: p for p in RECIPE_FOLDER.glob("*.toml")}
    if str(name_or_path) not in published:
        known = ", ".join(sorted(published))
        raise InvalidRecipe(
            f"no recipe is called {str(name_or_path)!r}; published: {known}; "
            "or give the path of a .toml file"
        )
    return _read_toml(published[str(name_or_path)])


def parse_recipe(text: str) -> Recipe:
    """Recipe from the text of a TOML file.

    Raises:
        InvalidRecipe: no TOML, or a key is unknown or has a wrong value.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidRecipe(f"the recipe is no valid TOML: {error}") from error
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise InvalidRecipe(_describe_errors(error, values)) from error


def _read_toml(path: Path) -> Recipe:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRecipe(f"the recipe {path.name} cannot be read: {error}") from error
    try:
        return parse_recipe(text)
    except InvalidRecipe as error:
        raise InvalidRecipe(f"{path.name}: {error}") from error


def _describe_errors(error: ValidationError, values: dict[str, object]) -> str:
    lines = []
    for item in error.errors(include_url=False, include_context=False):
        key = _format_key(item["loc"], values) or "recipe"
        is_unknown = item["type"] == "extra_forbidden"
        lines.append(f"{key}: {'unknown key' if is_unknown else item['msg']}")
    return "; ".join(lines)


def _format_key(location: Sequence[str | int], values: object) -> str:
    """Dotted key as in TOML, without the kind of a union: `pipeline.score.heads[0].pool`."""
    key = ""
    for part in location:
        if isinstance(values, dict) and part not in values and values.get("kind") == part:
            continue
        key += f"[{part}]" if isinstance(part, int) else f".{part}"
        values = _get_child(values, part)
    return key.lstrip(".")


def _get_child(values: object, part: str | int) -> object:
    if isinstance(values, dict):
        return values.get(part)
    if isinstance(values, list) and isinstance(part, int) and part < len(values):
        return values[part]
    return None
