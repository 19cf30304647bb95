"""The route of monitoring."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from app.auth.access import CanReadMonitoring
from app.error_handlers import describe_errors
from app.monitoring.desk import MonitoringDesk
from app.monitoring.schemas import MonitoringQuery, MonitoringView

router = APIRouter(prefix="/api/v1/monitoring", tags=["monitoring"])


def get_desk(request: Request) -> MonitoringDesk:
    """Give the monitoring desk of the application that answers."""
    desk: MonitoringDesk = request.app.state.monitoring
    return desk


@router.get("", responses=describe_errors(401, 403, 404, 422, 429, 503))
def show_monitoring(
    _caller: CanReadMonitoring,
    query: Annotated[MonitoringQuery, Query()],
    desk: Annotated[MonitoringDesk, Depends(get_desk)],
) -> MonitoringView:
    """Compare what a bundle does with what it promised.

    Alert rates with intervals, distances of scores from the calibration, martingales against
    exchangeability, counts and precision by site, device, sender, bundle and week. Whoever looks at
    many parts of the stream will see one of them alarm by chance.
    """
    return desk.observe(query.build_filter(), query.bundle)
