"""The offline verifier on exports that nobody touched, and alone."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from marketplace.shared import keys
from procurement import openlot_verify
from procurement.models import ExportScope
from procurement.services import exports
from tests.factories.bids import opened_lot
from tests.factories.signatures import trust
from tests.verify.world import Files, World, archive_of


def unpacked(files: Files, folder: Path) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def packed(files: Files, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def checked(path: Path, *words: str) -> tuple[int, list[dict[str, Any]]]:
    lines: list[str] = []
    status = openlot_verify.run([str(path), "--json", *words], lines.append)
    return status, json.loads("\n".join(lines))["checks"]


def not_ok(checks: Sequence[dict[str, Any]]) -> dict[str, str]:
    return {check["check"]: check["status"] for check in checks if check["status"] != "ok" and not check["by_design"]}


VERSIONS = ["buyer", "renewed", "supplier", "auction", "sealed", "committee", "committee_supplier"]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_untouched_export_passes(version: str, world: World, tmp_path: Path) -> None:
    status, checks = checked(
        packed(getattr(world, version), tmp_path / "export.zip"), "--platform-key", world.fingerprint
    )

    assert not_ok(checks) == {}
    assert status == 0


def test_a_folder_is_as_good_as_an_archive(world: World, tmp_path: Path) -> None:
    assert checked(unpacked(world.buyer, tmp_path))[0] == 0


def test_everything_that_can_be_checked_is(world: World, tmp_path: Path) -> None:
    key, receipt, proof = tmp_path / "lot.key", tmp_path / "receipt.json", tmp_path / "proof.json"
    key.write_bytes(base64.b64encode(world.lot_key))
    receipt.write_bytes(world.receipt)
    proof.write_bytes(world.proof)
    held = ("--receipt", str(receipt), "--proof", str(proof), "--lot-key", f"1={key}")

    status, checks = checked(packed(world.buyer, tmp_path / "export.zip"), "--platform-key", world.fingerprint, *held)

    found = {check["check"]: check["status"] for check in checks}
    assert status == 0
    for name in ("platform key", "roll: time", "roll: audit", "roll: complete", "audit/chain.jsonl"):
        assert found[name] == "ok"
    assert found["your receipt receipt.json"] == found["your proof proof.json"] == "ok"
    assert {found[name] for name in found if name.endswith(": sealed content")} == {"ok"}
    said = {check["why"] for check in checks if check["check"].endswith(": roll")}
    assert said == {"on it", "replaced", "withdrawn"}


def test_before_the_opening_nothing_tells_of_a_bid(world: World) -> None:
    folders = {name.split("/")[0] for name in world.sealed}
    assert folders & {"signatures", "receipts", "envelopes", "opened", "roll"} == set()
    records = [json.loads(line) for line in world.sealed["audit/chain.jsonl"].splitlines()]
    assert {record["content"]["action"] for record in records if "content" in record} & {"bid.submitted"} == set()


def test_a_bidders_version_holds_nothing_of_others(world: World) -> None:
    everything = b"".join(world.supplier.values())
    others = [json.loads(world.buyer[name]) for name in world.buyer if name.startswith("receipts/")]
    own = {
        json.loads(world.supplier[name])["content"]["bid"] for name in world.supplier if name.startswith("receipts/")
    }
    assert len(own) == 1
    for one in others:
        if one["content"]["bid"] not in own:
            assert one["content"]["supplier_name"].encode() not in everything
            assert one["content"]["signature_sha256"].encode() not in everything
            assert one["content"]["content"]["sha256"].encode() not in everything
    assert "audit/chain.jsonl" not in world.supplier


def test_a_person_reads_the_result_and_may_ask_for_what_is_not_ok_alone(world: World, tmp_path: Path) -> None:
    path = packed(world.buyer, tmp_path / "export.zip")
    whole: list[str] = []
    short: list[str] = []

    assert openlot_verify.run([str(path)], whole.append) == 0
    assert openlot_verify.run([str(path), "--quiet"], short.append) == 0

    assert any(line.startswith("not checkable platform key: compare the fingerprint") for line in whole)
    assert any(line.startswith("ok            roll/roll.json") for line in whole)
    assert not any(line.startswith("ok ") for line in short)


def test_the_file_works_when_it_is_copied_alone(world: World, tmp_path: Path) -> None:
    alone = shutil.copy(openlot_verify.__file__, tmp_path / "openlot_verify.py")
    path = packed(world.supplier, tmp_path / "export.zip")

    run = subprocess.run(
        [sys.executable, "-I", str(alone), str(path), "--platform-key", world.fingerprint, "--quiet"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )

    assert (run.returncode, run.stderr) == (0, "")


def test_single_receipts_and_proofs(world: World, tmp_path: Path) -> None:
    public = tmp_path / "keys.json"
    public.write_bytes(world.buyer["platform/receipt-keys.json"])
    for name, content in (("receipt.json", world.receipt), ("proof.json", world.proof)):
        (tmp_path / name).write_bytes(content)
        assert checked(tmp_path / name, "--platform-keys", str(public), "--platform-key", world.fingerprint)[0] == 0
        (tmp_path / name).write_bytes(content.replace(b"2026", b"2025", 1))
        assert checked(tmp_path / name, "--platform-keys", str(public))[0] == 1


def test_the_protocol_of_an_auction_that_a_loser_took_home(world: World, tmp_path: Path) -> None:
    """With nothing else but the platform's keys: what it holds, and that it is of this lot and of no other."""
    public, path = tmp_path / "keys.json", tmp_path / "auction.json"
    public.write_bytes(world.auction["platform/receipt-keys.json"])
    good = world.auction["protocols/auction-1.json"]
    words = ("--platform-keys", str(public), "--rules", str(Path(openlot_verify.__file__).parents[1]))

    def why(changed: bytes) -> tuple[int, list[str]]:
        path.write_bytes(changed)
        status, checks = checked(path, *words)
        return status, [check["why"] for check in checks if check["status"] == openlot_verify.FAILED]

    assert why(good) == (0, [])
    status, checks = checked(path, "--platform-keys", str(public), "--platform-key", world.fingerprint)
    said = {check["check"]: (check["status"], check["why"]) for check in checks}
    assert (status, said["auction.json"]) == (0, ("ok", "signed by the platform, its chain is whole"))
    assert said["auction"][1].startswith("of lot 1 of OL-2026-")
    assert said["auction.json: rules"][0] == "not checkable"
    assert said["auction.json: order"][0] == "ok"
    another = good.replace(b'"number": 1', b'"number": 2', 1)
    assert why(another) == (1, ["it was changed after it was signed"])
    assert why(good.replace(b'"lot": 1', b'"lot": 2', 1))[0] == 1
    assert why(good.replace(b"240.0000", b"239.0000", 1)) == (1, ["it was changed after it was signed"])


def test_the_same_state_gives_the_same_bytes(db: None, tmp_path: Path) -> None:
    trust()
    tender = opened_lot(["10", "20"]).tender
    reader = exports.Reader(ExportScope.BUYER)
    assert archive_of(tender, reader) == archive_of(tender, reader)


def test_without_documents_it_is_said_that_they_are_not_included(world: World, tmp_path: Path) -> None:
    files = {name: body for name, body in world.committee.items() if not name.startswith("documents/")}
    index = json.loads(files["index.json"])["content"]
    index["documents"] = {"included": False, "lost": []}
    index["files"] = [one for one in index["files"] if not one["path"].startswith("documents/")]
    files["index.json"] = json.dumps(keys.keyring().sign_receipt(index)).encode()

    status, checks = checked(packed(files, tmp_path / "export.zip"))

    said = next(check for check in checks if check["check"] == "documents of bids")
    assert (status, said["status"]) == (0, "not checkable")
    assert said["why"].startswith("not included: 2 hashes")


def test_an_auction_is_decided_again_by_the_platforms_own_rules(world: World, tmp_path: Path) -> None:
    """The rules are pure: a folder of them, or an archive, is enough, on a computer without the platform."""
    path, rules = packed(world.auction, tmp_path / "export.zip"), tmp_path / "rules"
    own = Path(openlot_verify.__file__).parent / "rules"
    shutil.copytree(own, rules / "procurement" / "rules", ignore=shutil.ignore_patterns("__pycache__"))
    (rules / "procurement" / "__init__.py").write_text("")
    words = [str(path), "--platform-key", world.fingerprint, "--rules", str(rules)]
    alone = shutil.copy(openlot_verify.__file__, tmp_path / "openlot_verify.py")

    run = subprocess.run(
        [sys.executable, "-I", str(alone), *words],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )

    assert (run.returncode, run.stderr) == (0, "")
    assert "ok            auctions/1.jsonl: rules: by the rules each bid was rightly taken" in run.stdout
    assert list(rules.rglob("__pycache__")) == []  # it writes nothing
    said = next(check for check in checked(path)[1] if check["check"] == "auctions/1.jsonl: rules")
    assert "manage.py replay_auction" in said["why"]


def test_a_bid_that_the_rules_do_not_allow_is_found_with_the_rules(world: World, tmp_path: Path) -> None:
    """Written anew from end to end, with a bid that beats nobody: the ranking still follows from the bids."""
    files = dict(world.auction)
    events = [json.loads(line)["content"] for line in files["auctions/1.jsonl"].splitlines()]
    bid = next(event for event in events if event["kind"] == "bid")
    bid["amount"] = "1.0000"
    previous, lines = "0" * 64, []
    for event in events:
        event["previous"] = previous
        previous = sha256(rfc8785.dumps(event)).hexdigest()
        lines.append(json.dumps({"content": event, "hash": previous}).encode())
    files["auctions/1.jsonl"] = b"\n".join(lines) + b"\n"
    path = packed(files, tmp_path / "export.zip")
    source = str(Path(openlot_verify.__file__).parents[1])

    assert "auctions/1.jsonl: rules" in not_ok(checked(path, "--rules", source)[1])
    assert "auctions/1.jsonl: rules" not in not_ok(checked(path)[1])
    assert openlot_verify.run([str(path), "--rules", source + "/docs"], [].append) in (1, 2)


def test_a_bid_that_was_stamped_after_its_deadline_is_said_to_be_the_platforms_word(
    world: World, tmp_path: Path
) -> None:
    """In this world the authority was away until five minutes after the deadline."""
    _status, checks = checked(packed(world.renewed, tmp_path / "export.zip"))

    said = [check for check in checks if check["check"].endswith(": in time")]
    assert {(one["status"], one["by_design"]) for one in said} == {("not checkable", True)}
    assert {one["why"].split(":", 1)[0] for one in said} == {"stamped 0"}
    assert all("is the platform's word" in one["why"] for one in said)
