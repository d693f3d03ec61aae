"""Where the browser finds the live auction's gateway."""

from django.conf import settings
from django.http import HttpRequest


def gateway_origin(request: HttpRequest) -> str:
    """The origin to prefix to /live/…: "" for the same origin, or this host on another port (":8001")."""
    origin: str = settings.GATEWAY_ORIGIN
    if not origin.startswith(":"):
        return origin
    host = request.get_host()
    # An IPv6 literal keeps its brackets and loses its port only.
    host = host[: host.rindex("]") + 1] if host.startswith("[") else host.partition(":")[0]
    return f"{request.scheme}://{host}{origin}"
