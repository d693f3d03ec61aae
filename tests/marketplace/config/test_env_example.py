"""`.env.example` is the list of the settings: whoever runs a platform reads no code for it."""

import re
from pathlib import Path

from django.conf import settings

# Set by the processes and tests themselves.
OURS = {"OPENLOT_PROCESS", "OPENLOT_TEST_DB"}


def test_every_variable_that_settings_read_is_explained() -> None:
    source = Path(settings.BASE_DIR, "marketplace", "config", "settings.py").read_text()
    read = set(re.findall(r"""(?:\benv\.\w+|required_in_production)\(\s*"([A-Z0-9_]+)\"""", source))
    example = Path(settings.BASE_DIR, ".env.example").read_text()
    named = set(re.findall(r"^(?:# )?([A-Z0-9_]+)=", example, re.MULTILINE))

    assert {"SECRET_KEY", "DATABASE_URL"} <= read
    assert read - named - OURS == set()
