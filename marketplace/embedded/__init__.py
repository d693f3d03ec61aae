"""The PostgreSQL and the Valkey that a checkout runs by itself when DATABASE_URL and BROKER_URL name no others.

They are started when first needed, outlive the process that started them, and are stopped by `make stop` or by the
`make demo` that started them. Standard library only, because settings call this.
"""

from types import ModuleType
from urllib.parse import urlsplit, urlunsplit

from marketplace.embedded import postgres, valkey
from marketplace.embedded.places import EmbeddedError, Places, local_folder

__all__ = ["EmbeddedError", "broker_url", "cache_url", "database_url", "ensure_running", "here", "status", "stop"]

SERVICES: dict[str, ModuleType] = {"postgres": postgres, "valkey": valkey}


def here() -> Places:
    """The folders of this checkout's services."""
    return Places(local_folder())


def database_url() -> str:
    """The address of this checkout's PostgreSQL, started if it does not run. Raises EmbeddedError."""
    ensure_running("postgres")
    return postgres.url(here())


def broker_url() -> str:
    """The address of this checkout's Valkey, started if it does not run. Raises EmbeddedError."""
    ensure_running("valkey")
    return valkey.url(here())


def cache_url(broker: str) -> str:
    """The address of a cache on the broker's server, in a database of its own (number 1), as Django's cache reads it.

    Empty where the broker is not a Redis or Valkey.
    """
    parts = urlsplit(broker)
    if parts.scheme == "redis+socket":
        return f"unix://{parts.path}?db=1"
    if parts.scheme in ("redis", "rediss"):
        return urlunsplit(parts._replace(path="/1"))
    return ""


def ensure_running(*names: str, places: Places | None = None) -> list[str]:
    """Start those of the named services (all, when none is named) that do not run; return the names of the started.

    Two processes may call this at once: one starts, the other waits and finds it running. Raises EmbeddedError.
    """
    places = places or here()
    missing = [name for name in names or SERVICES if not SERVICES[name].is_running(places)]
    if not missing:
        return []
    started = []
    with places.one_starter():
        places.need_space()
        for name in missing:
            if not SERVICES[name].is_running(places):
                SERVICES[name].start(places)
                started.append(name)
    return started


def stop(*names: str, places: Places | None = None) -> list[str]:
    """Stop those of the named services (all, when none is named) that run; return the names of the stopped."""
    places = places or here()
    running = [name for name in names or SERVICES if SERVICES[name].is_running(places)]
    with places.one_starter():
        for name in running:
            SERVICES[name].stop(places)
    return running


def status(places: Places | None = None) -> dict[str, bool]:
    """Which services run."""
    places = places or here()
    return {name: service.is_running(places) for name, service in SERVICES.items()}
