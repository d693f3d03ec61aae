"""What every page knows."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from marketplace.models import Notification
from marketplace.permissions import Actor, actor_of
from marketplace.shared import clock

MOST_UNREAD = 100


def site(request: HttpRequest) -> dict[str, Any]:
    """The site's name, who acts, their organisations, and the server's time in UTC."""
    actor = actor_of(request)
    return {
        "site_name": settings.SITE_NAME,
        "actor": actor,
        "memberships": getattr(request, "memberships", []),
        "server_now": clock.now(),
        "unread_notifications": _unread(actor),
    }


def _unread(actor: Actor) -> Callable[[], int]:
    """How many notifications are new, counted to 100, once, and only by a page that shows it."""

    @lru_cache(maxsize=1)
    def count() -> int:
        if actor.person is None:
            return 0
        return Notification.objects.filter(person=actor.person, read_at=None)[:MOST_UNREAD].count()

    return count
