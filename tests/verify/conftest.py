"""The exports, made once and rolled back."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from django.test import override_settings

from tests.verify import world as worlds
from tests.verify.world import World


@pytest.fixture(scope="session")
def world(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> World:
    media = override_settings(MEDIA_ROOT=tmp_path_factory.getbasetemp() / "media")
    with django_db_blocker.unblock(), media, transaction.atomic():
        built = worlds.build(tmp_path_factory.mktemp("stamps"))
        transaction.set_rollback(True)
    return built
