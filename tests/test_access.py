"""Every address of the site by every role: who is let in, and who is not.

A row says who is let in, from what the page is for (docs and UX), not from what the code does. "Let in" means that the
answer is no refusal: no log-in page, no 401, 403 or 404. A form sent empty may still be answered with what is wrong.
A new address without a row fails here, and so does a method of a page that no row asks for.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import Client, override_settings
from django.urls import URLResolver, get_resolver, reverse

from tests.access.asking import ask, clients_fixture, outcome, world_fixture  # noqa: F401  (fixtures)
from tests.access.table import OURS, TABLE, UNNAMED, Row
from tests.access.world import World


@pytest.fixture(scope="module", autouse=True)
def _plain_refusals() -> Iterator[None]:
    """Most of the ten thousand answers here are refusals, of which the status counts. The page that says why is one
    for all of them and is looked at elsewhere: to render it took half the time."""
    (engine,) = settings.TEMPLATES
    plain = ("django.template.loaders.locmem.Loader", dict.fromkeys(("403.html", "404.html"), "{{ sentence }}"))
    usual = [f"django.template.loaders.{name}.Loader" for name in ("filesystem", "app_directories")]
    options = engine["OPTIONS"] | {"loaders": [("django.template.loaders.cached.Loader", [plain, *usual])]}
    with override_settings(TEMPLATES=[engine | {"APP_DIRS": False, "OPTIONS": options}]):
        yield


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_every_role_is_let_in_or_refused(row: Row, world: World, clients: dict[str, Client]) -> None:
    url, sends = row.url(world), world.resolve(row.sends)
    found = {role: outcome(ask(clients[role], row.method, url, sends)) for role in row.roles}
    wrong = [f"{role}: {said}" for role, said in found.items() if said != ("in" if role in row.who else "refused")]
    assert not wrong, f"{row.method} {url}: {', '.join(wrong)}"


def test_a_token_of_the_api_opens_no_page(world: World, clients: dict[str, Client]) -> None:
    pages = [reverse("my_bids"), reverse("bid", args=[world.names["sent"]]), reverse("organisation_tokens")]
    assert [outcome(ask(clients["token"], "GET", page)) for page in pages] == ["refused"] * 3


def routes(resolver: URLResolver, before: str = "") -> Iterator[tuple[str, str | None]]:
    """Every pattern's route and name."""
    for pattern in resolver.url_patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, route)
        else:
            yield route, pattern.name


def test_no_address_is_missing_from_the_table() -> None:
    known = {row.name for row in TABLE}
    assert [route for route, name in routes(get_resolver()) if name not in known and route not in UNNAMED] == []


@pytest.mark.parametrize("name", OURS)
def test_no_method_is_missing_from_the_table(name: str, world: World, clients: dict[str, Client]) -> None:
    rows = [row for row in TABLE if row.name == name]
    row = max(rows, key=lambda row: len(row.who))
    role = max(row.who, key=lambda role: role != "visitor")
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - {row.method for row in rows}:
        assert ask(clients[role], method, row.url(world)).status_code == 405, f"{method} {name}"
