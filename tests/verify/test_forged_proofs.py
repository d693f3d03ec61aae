"""Forgeries of what proves the rest: documents, a committee's ceremony, archive time stamps, the anchored audit trail.

As in test_changed_exports, the platform itself signs the index anew over each of them.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.serialization import Encoding

from marketplace.shared import keys
from marketplace.signatures import merkle
from marketplace.signatures.timestamp_authority import DemoTimeStamps
from marketplace.signatures.timestamps import read_answer
from marketplace.signatures.timestamps import request as stamp_request
from tests.factories.bids import CLOSES, LATER
from tests.factories.marketplace import NOON
from tests.verify.test_changed_exports import (
    chain_again,
    edited,
    first,
    last,
    signed_again,
    with_flipped,
)
from tests.verify.test_good_exports import checked, not_ok, packed
from tests.verify.world import Files, World

Change = Callable[[Files], object]
NOBODYS_KEY = base64.b64encode(bytes(32)).decode()
CEREMONY, RELEASES, CHAIN = "custody/ceremony.json", "custody/releases.json", "audit/chain.jsonl"


def of(files: Files, place: int, name: str) -> str:
    """A file of the first or second signature, whatever its number is."""
    numbers = sorted({int(one.split("/")[1]) for one in files if one.startswith("signatures/")})
    return f"signatures/{numbers[place - 1]}/{name}"


def swapped(files: Files, one: str, other: str) -> None:
    files[one], files[other] = files[other], files[one]


def record_of(records: list[dict[str, Any]], action: str) -> dict[str, Any]:
    return next(record for record in records if record["action"] == action)


def announced(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = record_of(records, "keys.made")["details"]["shares"]
    return found


def moved(records: list[dict[str, Any]], action: str, place: int) -> None:
    record = record_of(records, action)
    records.remove(record)
    records.insert(place, record)


COMMITTEE: dict[str, tuple[Change, str]] = {
    "a document, another's ciphertext in its place": (
        lambda f: swapped(f, first(f, "documents/"), last(f, "documents/")),
        "documents/",
    ),
    "a document, one bit": (lambda f: with_flipped(f, first(f, "documents/")), "documents/"),
    "a document, missing": (lambda f: f.pop(first(f, "documents/")), "documents/"),
    "a document, missing and said to be lost": (
        lambda f: edited(f, "index.json", "content", "documents", "lost", to=[f.pop(first(f, "documents/")) and "x"]),
        "documents/",
    ),
    "a document, nobody's": (lambda f: f.update({"documents/9-9.sealed": b"OLS1" + bytes(100)}), "documents/9-9"),
    "documents, said not to be included": (
        lambda f: edited(f, "index.json", "content", "documents", "included", to=False),
        "documents/",
    ),
    "the ceremony, another commitment": (
        lambda f: edited(f, CEREMONY, "shares", 0, "commitment", to="ab" * 32),
        "custody: roll",
    ),
    "the ceremony, a commitment twice": (
        lambda f: edited(f, CEREMONY, "shares", 0, "commitment", to=json.loads(f[CEREMONY])["shares"][1]["commitment"]),
        CEREMONY,
    ),
    "the ceremony, a share dropped": (
        lambda f: edited(f, CEREMONY, "shares", to=lambda them: them[:-1]),
        "custody: roll",
    ),
    "the ceremony, fewer commitments than it takes": (
        lambda f: edited(f, CEREMONY, "shares", to=lambda them: them[:1]),
        CEREMONY,
    ),
    "the ceremony, one share opens": (lambda f: edited(f, CEREMONY, "threshold", to=1), CEREMONY),
    "the ceremony, another threshold": (lambda f: edited(f, CEREMONY, "threshold", to=3), "custody: roll"),
    "the ceremony, another lot's key": (
        lambda f: edited(
            f, CEREMONY, "lot_keys", to=lambda them: dict.fromkeys(them, base64.b64encode(bytes(32)).decode())
        ),
        CEREMONY,
    ),
    "the ceremony, removed": (lambda f: f.pop(CEREMONY), CEREMONY),
    "the ceremony, when it was made": (
        lambda f: edited(f, CEREMONY, "made_at", to="2026-02-01T00:00:00.000000Z"),
        "custody: roll",
    ),
    "the releases, removed": (lambda f: f.pop(RELEASES), RELEASES),
    "the releases, before the deadline": (
        lambda f: edited(f, RELEASES, "released", 0, "at", to="2026-03-01T00:00:00.000000Z"),
        RELEASES,
    ),
    "the releases, one too few": (lambda f: edited(f, RELEASES, "released", to=lambda them: them[:1]), RELEASES),
    "the releases, of nobody's share": (lambda f: edited(f, RELEASES, "released", 0, "index", to=7), RELEASES),
    "the releases, the key never put together": (lambda f: edited(f, RELEASES, "put_together_at", to=None), RELEASES),
    "the releases, the key put together before": (
        lambda f: edited(f, RELEASES, "put_together_at", to="2026-03-12T12:00:00.000000Z"),
        RELEASES,
    ),
    "who holds the keys": (lambda f: edited(f, "tender.json", "key_custody", to="platform"), "custody/"),
    "who holds the keys, the ceremony gone": (
        lambda f: (
            edited(f, "tender.json", "key_custody", to="platform"),
            [f.pop(name) for name in list(f) if name.startswith("custody/")],
        ),
        "custody: roll",
    ),
    "a lot's public key": (
        lambda f: edited(f, "tender.json", "lots", 0, "public_key", to=NOBODYS_KEY),
        "lots' keys",
    ),
    "the audit trail, a share released before the roll was closed": (
        lambda f: chain_again(f, lambda records: moved(records, "share.released", 0)),
        "custody: audit",
    ),
    "the audit trail, the keys made after publication": (
        lambda f: chain_again(f, lambda records: moved(records, "keys.made", len(records))),
        "custody: audit",
    ),
    "the audit trail, the keys made anew": (
        lambda f: chain_again(
            f, lambda r: record_of(r, "keys.made")["details"]["shares"][0].update(commitment="0" * 64)
        ),
        "custody: audit",
    ),
    "the audit trail, the key put together of one share": (
        lambda f: chain_again(f, lambda r: r.remove(record_of(r, "share.released"))),
        "custody: audit",
    ),
}


@pytest.mark.parametrize("what", COMMITTEE)
def test_a_forgery_of_documents_or_of_a_committees_keys_is_named(what: str, world: World, tmp_path: Path) -> None:
    change, named = COMMITTEE[what]
    files = dict(world.committee)
    change(files)

    status, checks = checked(packed(signed_again(files), tmp_path / "export.zip"), "--platform-key", world.fingerprint)

    assert status == 1
    assert any(named in check for check in not_ok(checks)), not_ok(checks)


def disclosed(folder: Path, **secrets: bytes) -> list[str]:
    words = []
    for name, secret in secrets.items():
        (folder / name).write_bytes(secret)
        words += [f"--{name.split('_')[0]}", str(folder / name)]
    return words


def test_disclosed_shares_open_envelopes_and_documents_again(world: World, tmp_path: Path) -> None:
    path = packed(world.committee, tmp_path / "export.zip")
    one, two, three = world.shares
    ways = {
        "seed": disclosed(tmp_path, seed=world.seed),
        "first and last": disclosed(tmp_path, share_1=one, share_3=three),
        "in base64": disclosed(tmp_path, share_2=base64.b64encode(two), share_1=one),
    }
    for way, words in ways.items():
        status, checks = checked(path, *words)
        found = {check["check"]: check["status"] for check in checks}
        assert (status, found["seed"], found["key of lot 1"]) == (0, "ok", "ok"), way
        opened = [name for name in found if name.endswith(": sealed content")]
        assert len(opened) == 4
        assert {found[name] for name in opened} == {"ok"}


@pytest.mark.parametrize("what", ["another seed", "another share", "one share", "one share twice"])
def test_what_is_not_the_committees_key_is_named(what: str, world: World, tmp_path: Path) -> None:
    one, two, _three = world.shares
    words = {
        "another seed": disclosed(tmp_path, seed=bytes(32)),
        "another share": disclosed(tmp_path, share_1=one, share_2=two[:-1] + bytes([two[-1] ^ 1])),
        "one share": disclosed(tmp_path, share_1=one),
        "one share twice": disclosed(tmp_path, share_1=one, share_2=one),
    }[what]

    status, checks = checked(packed(world.committee, tmp_path / "export.zip"), *words)

    assert (status, list(not_ok(checks))) == (1, ["seed" if what == "another seed" else "shares"])


def test_prices_and_documents_changed_after_the_opening_are_found_with_the_committees_key(
    world: World, tmp_path: Path
) -> None:
    files = dict(world.committee)
    name = last(files, "opened/")
    bid = json.loads(files[name])
    bid["lines"][0] |= {"unit_price": "5", "amount": "50.00"}
    bid["total"] = f"{sum(float(line['amount']) for line in bid['lines']):.2f}"
    bid["standing"] = bid["total"]
    files[name] = json.dumps(bid).encode()
    path = packed(signed_again(files), tmp_path / "export.zip")

    assert checked(path)[0] == 0  # nobody can tell without the key; the page on verifying says so
    assert list(not_ok(checked(path, *disclosed(tmp_path, seed=world.seed))[1])) == [f"{name}: sealed content"]


# Time stamps --------------------------------------------------------------------------------------------------------


def token_of(stamps: DemoTimeStamps, digest: bytes, at: datetime) -> bytes:
    asked = stamp_request(digest)
    return read_answer(stamps.server.answer(asked.encoded, at), asked).encoded


def restamped(files: Files, folder: str, stamps: DemoTimeStamps, number: int = 1) -> None:
    """The archive time stamp made anew, over the right root, by this authority."""
    proof = json.loads(files[f"{folder}/archive-{number}.json"])
    leaf = rfc8785.dumps({name: proof[name] for name in ("format", "hash", "covers")})
    proof |= {"index": 0, "size": 1, "path": []}
    root = merkle.leaf_hash(leaf, proof["hash"])
    at = LATER + timedelta(days=365 * number)
    files[f"{folder}/archive-{number}.json"] = json.dumps(proof).encode()
    files[f"{folder}/archive-{number}.tsr"] = token_of(stamps, root, at)


def uncovered(files: Files, folder: str, name: str, stamps: DemoTimeStamps) -> None:
    """The newest archive time stamp made anew by the right authority, over everything but one file."""
    body = files[name]
    proof = json.loads(files[f"{folder}/archive-2.json"])
    content = rfc8785.dumps(json.loads(body)) if name.endswith(".json") else body
    digest = hashlib.new(proof["hash"], content).hexdigest()
    assert digest in proof["covers"]
    proof["covers"].remove(digest)
    files[f"{folder}/archive-2.json"] = json.dumps(proof).encode()
    restamped(files, folder, stamps, 2)


STAMPS: dict[str, tuple[Callable[[Files, DemoTimeStamps], object], str]] = {
    "an archive stamp, over something else": (
        lambda f, _s: f.update({"roll/archive-1.tsr": f[of(f, 1, "archive-1.tsr")]}),
        "roll/timestamp.tsr",
    ),
    "an archive stamp, what it covers": (
        lambda f, _s: edited(f, of(f, 1, "archive-2.json"), "covers", to=lambda them: them[1:]),
        "/timestamp.tsr",
    ),
    "an archive stamp, out of the row": (
        lambda f, _s: [f.pop(of(f, 1, f"archive-1.{end}")) for end in ("tsr", "json")],
        "/timestamp.tsr",
    ),
    "an archive stamp, without what it covers": (
        lambda f, _s: f.pop(of(f, 1, "archive-2.json")),
        "/timestamp.tsr",
    ),
    "archive stamps, exchanged": (
        lambda f, _s: [swapped(f, f"roll/archive-1.{end}", f"roll/archive-2.{end}") for end in ("tsr", "json")],
        "roll/timestamp.tsr",
    ),
    "an archive stamp, one bit": (lambda f, _s: with_flipped(f, "roll/archive-2.tsr"), "roll/timestamp.tsr"),
    "an archive stamp, by an authority nobody trusts": (
        lambda f, _s: restamped(f, "roll", DemoTimeStamps.create(NOON, "Nobody"), 2),
        "roll/timestamp.tsr",
    ),
    "an archive stamp that leaves out the one before": (
        lambda f, s: uncovered(f, "roll", "roll/archive-1.tsr", s),
        "roll/timestamp.tsr",
    ),
    "an archive stamp that leaves out what the one before covers": (
        lambda f, s: uncovered(f, of(f, 1, "")[:-1], of(f, 1, "archive-1.json"), s),
        "/timestamp.tsr",
    ),
    "the first stamp, another signature's": (
        lambda f, _s: f.update({of(f, 1, "timestamp.tsr"): f[of(f, 2, "timestamp.tsr")]}),
        "/timestamp.tsr",
    ),
    "a signature's own stamp, by an authority nobody trusts": (
        lambda f, _s: f.update(
            {of(f, 1, "timestamp.tsr"): token_of(DemoTimeStamps.create(NOON, "Nobody"), bytes(32), LATER)}
        ),
        "/timestamp.tsr",
    ),
    "an anchor, of another head": (
        lambda f, _s: edited(f, first(f, "audit/anchors/", "anchor.json"), "hash", to="0" * 64),
        "audit/anchors/",
    ),
    "an anchor, of another trail": (
        lambda f, _s: edited(f, first(f, "audit/anchors/", "anchor.json"), "stream", to="tender:9"),
        "audit/anchors/",
    ),
    "an anchor, another's stamp": (
        lambda f, _s: swapped(
            f, first(f, "audit/anchors/", "timestamp.tsr"), last(f, "audit/anchors/", "timestamp.tsr")
        ),
        "audit/anchors/",
    ),
    "an anchor's statement, signed anew": (
        lambda f, _s: edited(
            f,
            first(f, "audit/anchors/", "anchor.json"),
            "statement",
            to=lambda said: keys.sign_receipt(said["content"] | {"previous": "0" * 64}),
        ),
        "audit/anchors/",
    ),
    "the trail, its end cut off behind the award": (
        lambda f, _s: chain_again(f, lambda records: records.pop()),
        CHAIN,
    ),
    "the trail, its end cut off with the anchors": (
        lambda f, _s: (without_anchors(f), chain_again(f, lambda r: cut_before(r, "award.decided"))),
        "signatures: audit",
    ),
    "an opened bid, at another amount than its total": (
        lambda f, _s: edited(f, first(f, "opened/"), "standing", to="1.00"),
        ": standing",
    ),
    "an opened bid, the award to another": (
        lambda f, _s: [edited(f, name, "supplier", "name", to="Somebody") for name in f if name.startswith("opened/")],
        ": award",
    ),
    "the opening, said not to have been": (
        lambda f, _s: edited(f, "tender.json", "timetable", "opened_at", to=None),
        "tender.json: opening",
    ),
    "the opening, at another time": (
        lambda f, _s: edited(f, "tender.json", "timetable", "opened_at", to="2026-03-12T13:00:00.000000Z"),
        "tender.json: opening",
    ),
    "a price, said twice": (
        lambda f, _s: f.update(
            {first(f, "opened/"): f[first(f, "opened/")].replace(b'"total":', b'"total": "1.00", "total":', 1)}
        ),
        "opened/",
    ),
    "an award's signature, taken out": (lambda f, _s: without_award(f), "signatures: audit"),
}


def without_anchors(files: Files) -> None:
    for name in [name for name in files if name.startswith("audit/anchors/")]:
        files.pop(name)


def cut_before(records: list[dict[str, Any]], action: str) -> None:
    del records[records.index(record_of(records, action)) :]


def without_award(files: Files) -> None:
    for name in [name for name in files if name.startswith("signatures/") and name.endswith("payload.json")]:
        if json.loads(files[name])["object"]["type"] == "award":
            folder = name.rpartition("/")[0] + "/"
            for own in [own for own in files if own.startswith(folder)]:
                files.pop(own)


@pytest.mark.parametrize("what", STAMPS)
def test_a_forgery_of_stamps_or_of_the_anchored_trail_is_named(what: str, world: World, tmp_path: Path) -> None:
    change, named = STAMPS[what]
    files = dict(world.renewed)
    change(files, world.stamps)

    status, checks = checked(packed(signed_again(files), tmp_path / "export.zip"), "--platform-key", world.fingerprint)

    assert status == 1
    assert any(named in check for check in not_ok(checks)), not_ok(checks)


def test_nothing_is_hidden_from_an_auditor_once_bidders_are_told(world: World, tmp_path: Path) -> None:
    """A record that says too much, given as its hash alone: the chain is whole all the same."""
    files = dict(world.auction)
    lines = [json.loads(line) for line in files[CHAIN].splitlines()]
    record = next(line for line in lines if line["content"]["action"] == "lot.key_used")
    content = record.pop("content")
    record |= {"number": content["number"], "previous": content["previous"]}
    files[CHAIN] = b"\n".join(json.dumps(line).encode() for line in lines) + b"\n"

    assert "audit: for the auditor" in not_ok(checked(packed(signed_again(files), tmp_path / "export.zip"))[1])


def anchored_again(files: Files, stamps: DemoTimeStamps, at: datetime) -> None:
    """The head as it is now, under a genuine time stamp of `at`."""
    lines = files[CHAIN].splitlines()
    newest = json.loads(lines[-1])
    record = newest["content"]
    leaf = {
        "format": "openlot-audit-head-1",
        "stream": record["stream"],
        "number": record["number"],
        "hash": newest["hash"],
    }
    root = merkle.leaf_hash(rfc8785.dumps(leaf))
    statement = keys.sign_receipt({"kind": "audit_anchor", "size": 1, "root": root.hex(), "previous": None})
    folder = f"audit/anchors/{record['number']}"
    anchor = {**leaf, "index": 0, "size": 1, "path": [], "statement": statement}
    files[f"{folder}/anchor.json"] = json.dumps(anchor).encode()
    files[f"{folder}/timestamp.tsr"] = token_of(stamps, sha256(rfc8785.dumps(statement)).digest(), at)


@pytest.mark.parametrize("honest", [True, False])
def test_a_trail_cut_after_an_anchor_and_anchored_anew_is_betrayed_by_the_time(
    honest: bool, world: World, tmp_path: Path
) -> None:
    """Everything after the first anchor is another story, told months later and anchored by the genuine authority."""
    files = dict(world.renewed)
    kept = int(first(files, "audit/anchors/", "anchor.json").split("/")[2])
    for name in [name for name in files if name.startswith(last(files, "audit/anchors/").rpartition("/")[0])]:
        files.pop(name)
    told_at = LATER + (timedelta(minutes=5, seconds=30) if honest else timedelta(hours=1))

    def change(records: list[dict[str, Any]]) -> None:
        del records[kept:]
        records.append({**records[-1], "action": "tender.looked_at", "at": told_at.isoformat()})

    chain_again(files, change)
    anchored_again(files, world.stamps, told_at + (timedelta(minutes=9) if honest else timedelta(days=90)))

    status, checks = checked(packed(signed_again(files), tmp_path / "export.zip"), "--platform-key", world.fingerprint)

    # Anchored within minutes it is what happened; weeks later it may be anything.
    assert (status, list(not_ok(checks))) == ((0, []) if honest else (1, ["audit: anchors"]))


def test_a_record_younger_than_the_stamp_over_it_is_found(world: World, tmp_path: Path) -> None:
    files = dict(world.renewed)
    without_anchors(files)
    chain_again(files, lambda records: records[-1].update(at=(LATER + timedelta(days=40)).isoformat()))
    anchored_again(files, world.stamps, LATER + timedelta(days=1))

    _status, checks = checked(packed(signed_again(files), tmp_path / "export.zip"))

    assert CHAIN in not_ok(checks)


def test_an_authority_of_the_forgers_own_is_told_by_who_brings_the_true_one(world: World, tmp_path: Path) -> None:
    """The forger's authority is in the export with the others: its fingerprint is printed, and --tsa-trust ends it."""
    forger = DemoTimeStamps.create(NOON, "Forger")
    files = dict(world.renewed)
    without_anchors(files)
    for name in [name for name in files if name.startswith("roll/archive-")]:
        files.pop(name)
    statement = json.loads(files["roll/roll.json"])["statement"]
    token = token_of(forger, sha256(rfc8785.dumps(statement)).digest(), CLOSES + timedelta(seconds=9))
    edited(files, "roll/roll.json", "timestamp", to=base64.b64encode(token).decode())
    files["roll/timestamp.tsr"] = token
    for folder, body in (("trust/stamps", forger.above.root.der), ("evidence/certificates", forger.above.issuing.der)):
        files[f"{folder}/{sha256(body).hexdigest()}.der"] = body
    for body in forger.above.crls(NOON - timedelta(days=1), timedelta(days=400)):
        files[f"evidence/lists/{sha256(body).hexdigest()}.crl"] = body
    path = packed(signed_again(files), tmp_path / "export.zip")
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    (trusted / "true.pem").write_bytes(world.stamps.above.root.certificate.public_bytes(Encoding.PEM))

    status, checks = checked(path)
    told = next(check["why"] for check in checks if check["check"] == "time-stamp authorities")
    held, found = checked(path, "--tsa-trust", str(trusted))

    assert status == 0
    assert sha256(forger.above.root.der).hexdigest() in told
    assert (held, list(not_ok(found))) == (1, ["roll/timestamp.tsr"])


# What somebody kept -------------------------------------------------------------------------------------------------


def test_an_earlier_export_is_gone_on_from_and_betrays_what_was_written_anew(world: World, tmp_path: Path) -> None:
    earlier = packed(world.buyer, tmp_path / "earlier.zip")
    words = ("--platform-key", world.fingerprint, "--earlier", str(earlier))
    good = packed(world.renewed, tmp_path / "good.zip")
    forged = dict(world.renewed)
    without_anchors(forged)
    chain_again(forged, lambda records: records[-3].update(at=LATER.isoformat(), action="tender.looked_at"))
    bad = packed(signed_again(forged), tmp_path / "bad.zip")

    assert checked(good, *words)[0] == 0
    assert checked(bad)[0] == 0  # nobody can tell without the anchors, or what somebody kept
    assert list(not_ok(checked(bad, *words)[1])) == ["your earlier export earlier.zip"]
    other = packed(world.auction, tmp_path / "other.zip")
    assert checked(good, "--earlier", str(other))[0] == 1
    (tmp_path / "none.zip").write_bytes(b"no archive")
    assert checked(good, "--earlier", str(tmp_path / "none.zip"))[0] in (1, 2)
