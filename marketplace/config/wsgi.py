"""The WSGI application of the web process."""

import os
import threading

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "marketplace.config.settings")
application = get_wsgi_application()

# Models can be imported only now.
from marketplace.services import timekeeping  # noqa: E402

if not settings.TESTING:
    # What pages take in time, the clock must not have closed, and the other way round. Until the process ends.
    timekeeping.follow("web", threading.Event())
