"""Whether this web process can serve: the database answers and is migrated. The other processes' pulse is told."""

from __future__ import annotations

from datetime import timedelta

from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from marketplace.models import Heartbeat
from marketplace.services import timekeeping

STALE_AFTER = timedelta(seconds=60)


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """200 {"status": "ready"} when this process can serve, else 503 with the reason; `processes`: "alive" or "stale".

    A stale clock or worker does not take the web process out of service; monitoring reads it from `processes`.
    """
    try:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return JsonResponse({"status": "starting", "reason": "migrations have not been applied"}, status=503)
        beats = dict(Heartbeat.objects.values_list("process", "at"))
        now = timekeeping.now()
    except Error:
        return JsonResponse({"status": "unavailable", "reason": "the database does not answer"}, status=503)
    processes = {name: "alive" if now - at < STALE_AFTER else "stale" for name, at in sorted(beats.items())}
    return JsonResponse({"status": "ready", "processes": processes})
