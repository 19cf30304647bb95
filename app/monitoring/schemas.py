"""What monitoring takes and gives."""

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app.monitoring import proportions, shift
from app.monitoring.repository import MonitoringFilter

_DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def _add_zone(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)


Instant = Annotated[datetime, AfterValidator(_add_zone)]
Word = Annotated[str, Field(min_length=1, max_length=128)]
Kind = Literal["slice", "volume"]


class MonitoringQuery(BaseModel):
    """Which cases are looked at."""

    model_config = ConfigDict(extra="forbid")

    bundle: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = Field(
        default=None, description="The live bundle by default.", examples=[_DIGEST]
    )
    site: Word | None = Field(default=None, examples=["North clinic"])
    device: Word | None = Field(default=None, examples=["ACME Scan 3"])
    sender: Word | None = Field(default=None, description="Id of a key or user.")
    received_from: Instant | None = Field(default=None, examples=["2030-01-01T00:00:00Z"])
    received_before: Instant | None = Field(default=None, examples=["2030-02-01T00:00:00Z"])

    def build_filter(self) -> MonitoringFilter:
        """Give the filter of the queries."""
        return MonitoringFilter(
            site=self.site,
            device=self.device,
            sender=self.sender,
            received_from=self.received_from,
            received_before=self.received_before,
        )


class Share(BaseModel):
    """So many of so many, with the exact 95 % interval of Clopper and Pearson."""

    count: int = Field(examples=[6])
    total: int = Field(examples=[120])
    share: float | None = Field(description="0..1; null of nothing.", examples=[0.05])
    low: float = Field(examples=[0.0186])
    high: float = Field(examples=[0.1057])

    @classmethod
    def measure(cls, count: int, total: int) -> Self:
        """Measure a share."""
        found = proportions.measure_proportion(count, total)
        return cls.model_validate(found, from_attributes=True)


class Tally(BaseModel):
    """Cases by verdict, and what people said of those that were flagged."""

    total: int = Field(examples=[130])
    typical: int = Field(examples=[114])
    anomalous: int = Field(examples=[6])
    indeterminate: int = Field(examples=[10])
    alerts: Share = Field(description="Anomalous among typical and anomalous.")
    confirmed: int = Field(description="Of the anomalous.", examples=[3])
    dismissed: int = Field(description="Of the anomalous.", examples=[1])
    unsure: int = Field(description="Of the anomalous.", examples=[0])
    precision: Share = Field(description="Confirmed among confirmed and dismissed alerts.")


class NamedTally(Tally):
    """The cases of one site, device, sender, bundle or week."""

    name: str | None = Field(
        description="Value for the filter; of a week its Monday, null where nothing is told.",
        examples=["North clinic"],
    )
    title: str | None = Field(
        description="Name for people, where the value is an id.", examples=["CT scanner 2"]
    )


class HistogramView(BaseModel):
    """Counts in the same bins; the outer bins hold what lies beyond them too."""

    model_config = ConfigDict(from_attributes=True)

    edges: list[float] = Field(description="One more than there are bins.", examples=[[0.0, 1.0]])
    stream: list[int] = Field(examples=[[12]])
    calibration: list[int] = Field(examples=[[9]])

    @classmethod
    def of(cls, found: shift.Histogram) -> Self:
        """Show a histogram."""
        return cls.model_validate(found)


class ScoreView(BaseModel):
    """The scores of one kind of scan against the bundle's calibration; one vote a patient."""

    kind: Kind = Field(description="Scans of one slice, or of several.")
    votes: int = Field(description="Patients, each with the first scan.", examples=[120])
    calibration_count: int = Field(examples=[300])
    threshold: float = Field(examples=[2.6])
    promised_share: float | None = Field(
        description="Most of the healthy that are flagged; null where nothing is promised.",
        examples=[0.05],
    )
    promise: str = Field(description="The promise in a sentence.")
    alerts: Share = Field(description="Votes above the threshold, among those with a verdict.")
    is_above_promise: bool | None = Field(
        description="The whole interval lies above the promised share: more is flagged than "
        "healthy scans explain, be it for the sick among them or for a change of the scans."
    )
    ks: float | None = Field(description="Distance of Kolmogorov and Smirnov.", examples=[0.08])
    ks_p_value: float | None = Field(examples=[0.31])
    psi: float | None = Field(description="Population stability index.", examples=[0.06])
    psi_by_chance: float | None = Field(description="Its mean without shift.", examples=[0.1])
    histogram: HistogramView


class MartingaleView(BaseModel):
    """Capital of bets against exchangeability; at 1 / delta it is an alarm.

    `calibration`: votes are ranked among the calibration and all votes before; sick scans make it
    grow too. `stream`: among the votes before alone; it grows when the mix of scans changes.
    """

    against: Literal["calibration", "stream"]
    votes: int = Field(examples=[120])
    delta: float = Field(description="Most of false alarms, for ever.", examples=[0.01])
    is_alarm: bool = Field(description="The capital has reached 1 / delta.")
    alarmed_at: datetime | None = Field(description="Arrival of the scan that raised it.")
    log10_now: float = Field(examples=[-0.3])
    log10_highest: float = Field(examples=[0.4])
    path: list[float] = Field(
        description="log10 of the capital along the votes, at even steps.", examples=[[0.0, -0.3]]
    )


class MonitoringView(BaseModel):
    """What a bundle did of late, against what it promised."""

    bundle: str | None = Field(description="Digest; null where none is live.", examples=[_DIGEST])
    cases: Tally
    by_bundle: list[NamedTally] = Field(description="Of every bundle, whatever was asked for.")
    by_site: list[NamedTally]
    by_device: list[NamedTally]
    by_sender: list[NamedTally]
    by_week: list[NamedTally] = Field(description="The oldest first; weeks begin on Monday, UTC.")
    scores: list[ScoreView] = Field(description="Empty where the calibration is not at hand.")
    martingales: list[MartingaleView]
    is_cut: bool = Field(
        description="There are more scored cases than are compared: scores and martingales are of "
        "the newest alone."
    )
