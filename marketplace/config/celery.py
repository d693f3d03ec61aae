"""The Celery application: `celery -A marketplace.config worker`."""

import os
from typing import Any

from celery import Celery, bootsteps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "marketplace.config.settings")
app = Celery("openlot")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

_SECONDS_BETWEEN_BEATS = 20
# Several workers sweep one after the other; the second finds nothing to do.
_SWEEPS = {
    "analytics.tasks.hear_requests": 60,
    "analytics.tasks.sweep_imports": 60,
    # Looks whether a book's night has come, too.
    "analytics.tasks.sweep_runs": 60,
    "analytics.tasks.remind_of_steps": 900,
    "analytics.tasks.drop_old_scores": 3600,
    "marketplace.tasks.expire": 3600,
    "marketplace.tasks.refresh_revocation": 60,
    "marketplace.tasks.judge_signatures": 10,
    "marketplace.tasks.stamp_waiting": 60,
    "marketplace.tasks.renew_stamps": 3600,
    "marketplace.tasks.anchor_audit": 600,
    # Looks whether the last sample is a day old.
    "marketplace.tasks.reverify_sample": 3600,
    "procurement.tasks.remind_of_certificates": 3600,
    "procurement.tasks.sweep_ciphertexts": 3600,
    "procurement.tasks.stamp_rolls": 60,
    "procurement.tasks.renew_roll_stamps": 3600,
    "procurement.tasks.remove_exports": 3600,
}


class Beats(bootsteps.StartStopStep):
    """Has every worker send itself a small task, so that a heartbeat tells that tasks are carried out.

    That a worker's main process lives would say less: neither the broker nor its children need to work for it.
    """

    requires = {"celery.worker.components:Timer"}

    def start(self, parent: Any) -> None:
        beat = ("marketplace.tasks.beat",)
        parent.timer.call_repeatedly(_SECONDS_BETWEEN_BEATS, app.send_task, beat, {"expires": _SECONDS_BETWEEN_BEATS})
        for task, seconds in _SWEEPS.items():
            parent.timer.call_repeatedly(seconds, app.send_task, (task,), {"expires": seconds})


app.steps["worker"].add(Beats)
