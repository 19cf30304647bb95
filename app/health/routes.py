"""Routes for those who run the service: is it alive, is it ready, how much does it do."""

from fastapi import APIRouter, Request, Response

from app.auth.access import CanReadMonitoring, Public
from app.error_handlers import describe_errors
from app.health.metrics import Metrics
from app.health.schemas import Health, Readiness
from app.health.service import ReadinessProbe

router = APIRouter(tags=["health"])

_TEXT = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/healthz")
async def show_health(_public: Public) -> Health:
    """Tell that the service runs; asks nothing of database, store or engine."""
    return Health()


@router.get("/readyz", responses={503: {"model": Readiness, "description": "Not ready."}})
async def show_readiness(_public: Public, request: Request, response: Response) -> Readiness:
    """Tell whether scans are taken in and scored, and what is missing."""
    probe: ReadinessProbe = request.app.state.probe
    readiness = await probe.ask()
    response.status_code = 200 if readiness.is_ready else 503
    return readiness


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {}}, "description": "Prometheus' text format."},
        **describe_errors(401, 403, 429),
    },
)
def show_metrics(_caller: CanReadMonitoring, request: Request) -> Response:
    """Give counters and gauges for Prometheus; send an API key with monitoring:read."""
    metrics: Metrics = request.app.state.metrics
    return Response(metrics.write(), media_type=_TEXT)
