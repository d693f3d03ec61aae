"""The tests' database: a template that is migrated once per set of migrations, copies of it, and their emptying."""

from __future__ import annotations

import gc
import hashlib
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

ROOT = Path(__file__).resolve().parents[1]
# Any number of our own: whoever makes or copies the template database holds this advisory lock.
_TEMPLATE_LOCK = 20_711
# What migrating itself writes, and what nothing changes afterwards.
_KEPT = ("django_migrations", "django_content_type", "auth_permission")


def create(name: str) -> None:
    """A migrated database of that name, as new; from now on this process uses it."""
    with connection._nodb_cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_TEMPLATE_LOCK])
        template = _template(cursor)
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        # A test that commits need not wait for the disk; those about a server that is killed have one of their own.
        cursor.execute(f'ALTER DATABASE "{name}" SET synchronous_commit TO off')
    use(name)


def drop(name: str, usual: str) -> None:
    """Drop it; this process uses the `usual` one again."""
    use(usual)
    with connection._nodb_cursor() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def use(name: str) -> None:
    """From now on this process's connections lead there."""
    connection.close()
    connection.settings_dict["NAME"] = name
    settings.DATABASES["default"]["NAME"] = name


def empty() -> None:
    """Delete what a test with transactions of its own has left, from the tables that hold anything.

    Django would empty all tables that there are, and then describe all models anew: a second for each such test. The
    guards of append-only tables keep watch over tests as over anybody; they are passed by as by somebody who owns the
    database.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        filled = _filled(cursor)
        if filled:
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute(";".join(f'DELETE FROM "{table}"' for table in filled))


def _filled(cursor: CursorWrapper) -> list[str]:
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    asked = [f"SELECT '{table}' WHERE EXISTS (SELECT FROM \"{table}\")" for table in tables if table not in _KEPT]
    cursor.execute(" UNION ALL ".join(asked))
    return [table for (table,) in cursor.fetchall()]


def _template(cursor: CursorWrapper) -> str:
    """The name of the migrated template database, made where it is missing; those of other migrations are dropped."""
    name = f"openlot_template_{_digest()}"
    cursor.execute(r"SELECT datname FROM pg_database WHERE datname LIKE 'openlot\_template\_%'")
    present = [row[0] for row in cursor.fetchall()]
    if name not in present:
        for old in present:
            cursor.execute(f'DROP DATABASE "{old}" WITH (FORCE)')
        unfinished = "openlot_template_unfinished"
        cursor.execute(f'DROP DATABASE IF EXISTS "{unfinished}" WITH (FORCE)')
        cursor.execute(f'CREATE DATABASE "{unfinished}"')
        use(unfinished)
        # Thousands of classes that come and go: to look for what could be freed takes a third of the time.
        gc.disable()
        call_command("migrate", verbosity=0, interactive=False)
        gc.enable()
        connection.close()
        cursor.execute(f'ALTER DATABASE "{unfinished}" RENAME TO "{name}"')
    return name


def _digest() -> str:
    """Of all that the template is made from."""
    digest = hashlib.sha256(repr(settings.INSTALLED_APPS).encode())
    for path in (ROOT / "requirements" / "dev.txt", Path(__file__), *sorted(ROOT.glob("*/migrations/*.py"))):
        digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]
