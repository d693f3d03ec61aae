"""What every page knows."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from marketplace.permissions import actor_of
from marketplace.shared import clock


def site(request: HttpRequest) -> dict[str, Any]:
    """The site's name, who acts, their organisations, and the server's time in UTC."""
    return {
        "site_name": settings.SITE_NAME,
        "actor": actor_of(request),
        "memberships": getattr(request, "memberships", []),
        "server_now": clock.now(),
    }
