"""The route of the monitoring page: what a bundle does of late, against what it promised."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import ValidationError

from app.auth.access import CanReadMonitoring
from app.errors import InvalidRequest
from app.monitoring.desk import MonitoringDesk
from app.monitoring.routes import get_desk
from app.monitoring.schemas import MartingaleView, MonitoringQuery, MonitoringView, ScoreView
from app.web.charts import (
    HEIGHT,
    WIDTH,
    PathChart,
    RateChart,
    ScoreChart,
    build_path_chart,
    build_rate_chart,
    build_score_chart,
)
from app.web.pages import ThePages

router = APIRouter(include_in_schema=False)

Short = Annotated[str, Query(max_length=128)]


@dataclass(frozen=True, slots=True)
class WatchView:
    """The numbers of monitoring with their charts."""

    found: MonitoringView
    bundle: str
    scores: list[tuple[ScoreView, ScoreChart]]
    rates: RateChart | None
    paths: list[tuple[MartingaleView, PathChart]]
    width: float = WIDTH
    height: float = HEIGHT


@router.get("/monitoring")
def show_monitoring(
    caller: CanReadMonitoring,
    request: Request,
    pages: ThePages,
    desk: Annotated[MonitoringDesk, Depends(get_desk)],
    site: Short = "",
    device: Short = "",
) -> HTMLResponse:
    """Show rates, distances and precision of the live bundle."""
    pages.note_page(caller, "monitoring")
    try:
        query = MonitoringQuery(site=site or None, device=device or None)
    except ValidationError:
        raise InvalidRequest("a filter of monitoring cannot be used") from None
    found = desk.observe(query.build_filter(), query.bundle)
    view = _build_view(found, pages.bundles.name(found.bundle))
    return pages.show(
        request, caller, "monitoring.html.j2", "Monitoring", view=view, site=site, device=device
    )


def _build_view(found: MonitoringView, bundle: str) -> WatchView:
    promised = next((score.promised_share for score in found.scores), None)
    return WatchView(
        found=found,
        bundle=bundle,
        scores=[
            (score, build_score_chart(score.histogram, score.threshold)) for score in found.scores
        ],
        rates=build_rate_chart(found.by_week, promised) if found.by_week else None,
        paths=[(one, build_path_chart(one)) for one in found.martingales if one.path],
    )
