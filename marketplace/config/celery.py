"""The Celery application: `celery -A marketplace.config worker`."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "marketplace.config.settings")
app = Celery("openlot")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
