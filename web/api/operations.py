"""For those who run the service: is it well, and its figures."""

from litestar import Response, get
from litestar.status_codes import HTTP_200_OK, HTTP_503_SERVICE_UNAVAILABLE
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from twin.interface import Health
from web.shared import TheAlertHub, TheHub, TheService


@get("/health", summary="How the service and its parts are", tags=["operations"])
async def get_health(service: TheService) -> Response[Health]:
    """Answer 200 while the service can record what happens, 503 when it cannot."""
    health = await service.health()
    down = health.status == "down"
    return Response(health, status_code=HTTP_503_SERVICE_UNAVAILABLE if down else HTTP_200_OK)


@get("/metrics", summary="Figures for Prometheus", tags=["operations"], sync_to_thread=False)
def get_metrics(service: TheService, hub: TheHub, alert_hub: TheAlertHub) -> Response[bytes]:
    """Give the service's figures in the text format of Prometheus."""
    figures = service.metrics() + hub.metrics() + alert_hub.metrics()
    return Response(figures, media_type=CONTENT_TYPE_PLAIN_0_0_4)
