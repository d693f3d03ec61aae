"""Every change of an export is found and named, whoever made it.

Each change is tried twice: by somebody who cannot sign the index anew, and by the platform, which holds the receipt
key and can. What the platform signs anew must still disagree with what is not its own to sign: the signatures of
others, the time stamp, and the chains and proofs that hang together.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from asn1crypto import cms

from marketplace.shared import keys
from marketplace.shared.keys import Keyring, new_key_file_text
from marketplace.signatures.authority import Authority
from tests.factories.marketplace import NOON
from tests.factories.signatures import authority
from tests.verify.test_good_exports import checked, not_ok, packed
from tests.verify.world import Files, World

Change = Callable[[Files], object]


def signed_again(files: Files, ring: Keyring | None = None) -> Files:
    """The files under an index that the platform's key has signed over them as they are now."""
    content = json.loads(files["index.json"])["content"]
    content["files"] = [
        {"path": name, "size": len(body), "sha256": sha256(body).hexdigest()}
        for name, body in sorted(files.items())
        if name != "index.json"
    ]
    return files | {"index.json": json.dumps((ring or keys.keyring()).sign_receipt(content)).encode()}


def edited(files: Files, name: str, *path: Any, to: Any) -> None:
    """Put another value into a JSON file."""
    document = json.loads(files[name])
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to(place[path[-1]]) if callable(to) else to
    files[name] = json.dumps(document).encode()


def signed_edit(files: Files, name: str, *path: Any, to: Any) -> None:
    """The same of a document under the platform's own signature, signed anew."""
    edited(files, name, "content", *path, to=to)
    files[name] = json.dumps(keys.sign_receipt(json.loads(files[name])["content"])).encode()


def flipped(body: bytes) -> bytes:
    """One bit in the middle."""
    at = len(body) // 2
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


def with_flipped(files: Files, name: str) -> None:
    files[name] = flipped(files[name])


def replaced(files: Files, name: str, before: bytes, after: bytes) -> None:
    files[name] = files[name].replace(before, after, 1)


def first(files: Files, folder: str, end: str = "") -> str:
    return next(name for name in sorted(files) if name.startswith(folder) and name.endswith(end))


def last(files: Files, folder: str, end: str = "") -> str:
    return [name for name in sorted(files) if name.startswith(folder) and name.endswith(end)][-1]


def opened_signature(files: Files) -> str:
    """The folder of the signature of a bid that was opened."""
    proof = json.loads(files[first(files, "roll/proofs/")])
    wanted = proof["leaf"]["signature_sha256"]
    return next(
        name.rsplit("/", 1)[0]
        for name in files
        if name.endswith("signature.p7s") and sha256(files[name]).hexdigest() == wanted
    )


def rolled_again(files: Files, change: Callable[[list[str]], list[str]]) -> None:
    """The roll with other leaves, its root computed and signed anew by the platform."""
    roll = json.loads(files["roll/roll.json"])
    roll["leaves"] = sorted(change(roll["leaves"]))
    content = roll["statement"]["content"]
    content["size"] = len(roll["leaves"])
    content["root"] = root_of([bytes.fromhex(leaf) for leaf in roll["leaves"]]).hex()
    roll["statement"] = keys.sign_receipt(content)
    files["roll/roll.json"] = json.dumps(roll).encode()


def root_of(level: list[bytes]) -> bytes:
    while len(level) > 1:
        level = [
            sha256(b"\x01" + level[at] + level[at + 1]).digest() if at + 1 < len(level) else level[at]
            for at in range(0, len(level), 2)
        ]
    return level[0]


def chain_again(files: Files, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """The audit trail changed and every hash computed anew, with the index naming the new head."""
    records = [json.loads(line)["content"] for line in files["audit/chain.jsonl"].splitlines() if b'"content"' in line]
    change(records)
    previous, lines = "0" * 64, []
    for number, record in enumerate(records, start=1):
        record |= {"number": number, "previous": previous}
        previous = sha256(rfc8785.dumps(record)).hexdigest()
        lines.append(json.dumps({"content": record, "hash": previous}))
    files["audit/chain.jsonl"] = "\n".join(lines).encode() + b"\n"
    edited(files, "index.json", "content", "audit_head", to=previous)


def lines_again(files: Files, name: str, change: Callable[[list[bytes]], list[bytes]]) -> None:
    files[name] = b"\n".join(change(files[name].splitlines())) + b"\n"


def without_bid(files: Files) -> None:
    """A bid is made never to have been."""
    proof = last(files, "roll/proofs/")
    leaf = json.loads(files[proof])["leaf"]
    wanted = leaf["signature_sha256"]
    (signature,) = [name for name in files if name.endswith(".p7s") and sha256(files[name]).hexdigest() == wanted]
    own = (signature.rsplit("/", 1)[0] + "/", f"envelopes/{leaf['bid']}-", f"receipts/{leaf['bid']}-")
    for name in list(files):
        if name.startswith(own) or name in (proof, f"opened/{leaf['bid']}.json"):
            files.pop(name)


def crls(files: Files) -> list[str]:
    return [name for name in files if name.startswith("evidence/lists/")]


def revoked(files: Files) -> None:
    """The authority's list says that a signer was revoked before it signed."""
    signature = cms.ContentInfo.load(files[f"{opened_signature(files)}/signature.p7s"])
    (signer,) = signature["content"]["signer_infos"]
    serial = signer["sid"].chosen["serial_number"].native
    issuing = Authority(authority().root, authority().issuing, {serial: NOON - timedelta(days=1)})
    for name in crls(files):
        files.pop(name)
    for body in issuing.crls(NOON - timedelta(hours=1), timedelta(days=400)):
        files[f"evidence/lists/{sha256(body).hexdigest()}.crl"] = body


def other_anchor(files: Files) -> None:
    for name in [name for name in files if name.startswith("trust/anchors/")]:
        files.pop(name)
    body = Authority.create(NOON, "Another").root.der
    files[f"trust/anchors/{sha256(body).hexdigest()}.der"] = body


def other_lots_key(files: Files) -> None:
    edited(files, "tender.json", "lots", 0, "public_key_sha256", to="0" * 64)


def opened_of_nobody(files: Files) -> None:
    name = first(files, "opened/")
    files["opened/99999.json"] = files[name].replace(b'"bid": ', b'"bid": 9999', 1)


SIGNATURE = "signatures/"
#: What is changed → what the verifier must name when the platform itself has signed the index anew.
FORGERIES: dict[str, tuple[Change, str]] = {
    "a signed document, one bit": (
        lambda f: with_flipped(f, f"{opened_signature(f)}/payload.json"),
        "signatures/",
    ),
    "a signed document, no longer canonical": (
        lambda f: edited(f, f"{opened_signature(f)}/payload.json", "content", "content", "size", to=7),
        "payload.json",
    ),
    "a signed document, canonical and false": (
        lambda f: replaced(f, f"{opened_signature(f)}/payload.json", b'"bid_version":1', b'"bid_version":3'),
        "signature.p7s",
    ),
    "a signature, one bit": (
        lambda f: f.update(
            {f"{opened_signature(f)}/signature.p7s": flipped(f[f"{opened_signature(f)}/signature.p7s"])}
        ),
        "signatures/",
    ),
    "a signature, its last byte": (
        lambda f: f.update(
            {f"{opened_signature(f)}/signature.p7s": f[f"{opened_signature(f)}/signature.p7s"][:-1] + b"\x00"}
        ),
        "signature.p7s",
    ),
    "a signature, another's in its place": (
        lambda f: f.update({first(f, SIGNATURE, ".p7s"): f[last(f, SIGNATURE, ".p7s")]}),
        "signature.p7s",
    ),
    "a signature, removed": (lambda f: f.pop(first(f, SIGNATURE, ".p7s")), "payload.json"),
    "a signature, there twice": (
        lambda f: f.update(
            {
                name.replace("signatures/", "signatures/9"): body
                for name, body in f.items()
                if name.startswith(first(f, SIGNATURE).rsplit("/", 1)[0] + "/")
            }
        ),
        ": nonce",
    ),
    "what is said about a signature": (
        lambda f: edited(f, first(f, SIGNATURE, "about.json"), "payload_sha256", to="0" * 64),
        "about.json",
    ),
    "when a signature came": (
        lambda f: edited(f, f"{opened_signature(f)}/about.json", "received_at", to="2026-03-01T00:00:00.000000Z"),
        "receipts/",
    ),
    "a receipt, unsigned": (lambda f: edited(f, first(f, "receipts/"), "content", "lot", to=2), "receipts/"),
    "a receipt, another time": (
        lambda f: signed_edit(f, first(f, "receipts/"), "received_at", to="2026-03-01T00:00:00.000000Z"),
        "receipts/",
    ),
    "a receipt, another supplier": (
        lambda f: signed_edit(f, first(f, "receipts/"), "supplier", to=["VATDE-1"]),
        "receipts/",
    ),
    "a receipt, another content": (
        lambda f: signed_edit(f, first(f, "receipts/"), "content", "sha256", to="0" * 64),
        "receipts/",
    ),
    "a receipt, removed": (lambda f: f.pop(first(f, "receipts/")), ": receipt"),
    "a receipt, under another name": (
        lambda f: f.update({"receipts/77-1-received.json": f.pop(first(f, "receipts/"))}),
        "receipts/77-1-received.json",
    ),
    "the roll, a leaf dropped": (
        lambda f: edited(f, "roll/roll.json", "leaves", to=lambda it: it[1:]),
        "roll/roll.json",
    ),
    "the roll, a leaf added": (
        lambda f: edited(f, "roll/roll.json", "leaves", to=lambda it: sorted([*it, "ab" * 32])),
        "roll/roll.json",
    ),
    "the roll, a leaf changed": (
        lambda f: edited(f, "roll/roll.json", "leaves", to=lambda it: sorted(["ab" * 32, *it[1:]])),
        "roll/roll.json",
    ),
    "the roll, a leaf dropped and the root signed anew": (
        lambda f: rolled_again(f, lambda leaves: leaves[1:]),
        "roll/timestamp.tsr",
    ),
    "the roll, a leaf added and the root signed anew": (
        lambda f: rolled_again(f, lambda leaves: [*leaves, "ab" * 32]),
        "roll: audit",
    ),
    "the roll, signed anew without its time stamp": (
        lambda f: (rolled_again(f, lambda leaves: leaves[1:]), f.pop("roll/timestamp.tsr")),
        "roll/timestamp.tsr",
    ),
    "the roll, removed": (
        lambda f: [f.pop(name) for name in list(f) if name.startswith("roll/")],
        "roll/roll.json",
    ),
    "the roll's time stamp, one bit": (
        lambda f: f.update({"roll/timestamp.tsr": flipped(f["roll/timestamp.tsr"])}),
        "roll/timestamp.tsr",
    ),
    "the time stamps' authority, another": (
        lambda f: [f.pop(name) for name in list(f) if name.startswith("trust/stamps/")],
        "roll/timestamp.tsr",
    ),
    "a proof, another lot": (
        lambda f: edited(f, first(f, "roll/proofs/"), "leaf", "lot", to=2),
        "roll/proofs/",
    ),
    "a proof, another time": (
        lambda f: edited(f, first(f, "roll/proofs/"), "leaf", "received_at", to="2026-03-01T00:00:00.000000Z"),
        "roll/proofs/",
    ),
    "a proof, its path": (
        lambda f: edited(f, first(f, "roll/proofs/"), "path", to=lambda path: path[:-1]),
        "roll/proofs/",
    ),
    "a proof, removed": (lambda f: f.pop(first(f, "roll/proofs/")), "roll: complete"),
    "a bid, as if it had never been": (without_bid, "roll: complete"),
    "an envelope, one bit": (
        lambda f: f.update({first(f, "envelopes/"): flipped(f[first(f, "envelopes/")])}),
        "envelopes/",
    ),
    "an envelope, removed": (lambda f: f.pop(first(f, "envelopes/")), ": envelope"),
    "an envelope, nobody's": (lambda f: f.update({"envelopes/99-1.sealed": b"x" * 100}), "envelopes/99-1.sealed"),
    "an opened bid, its total": (lambda f: edited(f, first(f, "opened/"), "total", to="1.00"), "opened/"),
    "an opened bid, a line": (
        lambda f: edited(f, first(f, "opened/"), "lines", 0, "unit_price", to="1"),
        "opened/",
    ),
    "an opened bid, its supplier": (
        lambda f: edited(f, first(f, "opened/"), "supplier", "identifiers", to=["VATDE-1"]),
        "opened/",
    ),
    "an opened bid, of nobody on the roll": (opened_of_nobody, "opened/99999.json: roll"),
    "the audit trail, a record changed": (
        lambda f: f.update(
            {"audit/chain.jsonl": f["audit/chain.jsonl"].replace(b"tender.opened", b"tender.closed", 1)}
        ),
        "audit/chain.jsonl",
    ),
    "the audit trail, a record removed": (
        lambda f: lines_again(f, "audit/chain.jsonl", lambda lines: [*lines[:2], *lines[3:]]),
        "audit/chain.jsonl",
    ),
    "the audit trail, two records exchanged": (
        lambda f: lines_again(f, "audit/chain.jsonl", lambda lines: [lines[1], lines[0], *lines[2:]]),
        "audit/chain.jsonl",
    ),
    "the audit trail, its end cut off": (
        lambda f: lines_again(f, "audit/chain.jsonl", lambda lines: lines[:-1]),
        "audit/chain.jsonl",
    ),
    "the audit trail, written anew before the deadline": (
        lambda f: chain_again(f, lambda records: records.pop(0)),
        "roll: audit",
    ),
    "the audit trail, the roll's closing written anew": (
        lambda f: chain_again(
            f, lambda records: [one["details"].update(root="0" * 64) for one in records if "root" in one["details"]]
        ),
        "roll: audit",
    ),
    "the audit trail, the key used before the roll was closed": (
        lambda f: chain_again(f, lambda records: records.insert(0, {**records[0], "action": "lot.key_used"})),
        "roll: audit",
    ),
    "the audit trail, removed": (lambda f: f.pop("audit/chain.jsonl"), "audit/chain.jsonl"),
    "the deadline": (
        lambda f: edited(f, "tender.json", "timetable", "tender_ends_at", to="2026-03-20T12:00:00.000000Z"),
        "roll/roll.json",
    ),
    "the procedure's number": (lambda f: edited(f, "tender.json", "number", to="OL-2026-424242"), ": what it binds"),
    "the lot's key": (other_lots_key, ": what it binds"),
    "the anchors": (other_anchor, ": certificate"),
    "the anchors, removed": (
        lambda f: [f.pop(name) for name in list(f) if name.startswith("trust/anchors/")],
        ": certificate",
    ),
    "the purpose of certificates": (
        lambda f: edited(f, "trust/policy.json", "eku", to="1.2.3.4"),
        ": certificate",
    ),
    "the revocation lists, removed": (lambda f: [f.pop(name) for name in crls(f)], ": revocation"),
    "the revocation lists, with a signer on it": (revoked, ": revocation"),
    "a revocation list, one bit": (
        lambda f: f.update({crls(f)[0]: flipped(f[crls(f)[0]])}),
        "evidence/lists/",
    ),
    "a certificate, under another's name": (
        lambda f: f.update({f"evidence/certificates/{'0' * 64}.der": f[first(f, "evidence/certificates/")]}),
        "evidence/certificates/0000",
    ),
    "the receipt keys, unreadable": (lambda f: f.update({"platform/receipt-keys.json": b"{}"}), "receipt-keys.json"),
    "the index, for another reader": (
        lambda f: edited(f, "index.json", "content", "kind", to="bid_received"),
        "index.json",
    ),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_a_change_under_an_index_signed_anew_is_found_and_named(what: str, world: World, tmp_path: Path) -> None:
    change, named = FORGERIES[what]
    files = dict(world.buyer)
    change(files)
    assert files != world.buyer

    status, checks = checked(packed(signed_again(files), tmp_path / "export.zip"), "--platform-key", world.fingerprint)

    assert status == 1
    assert any(named in check for check in not_ok(checks)), not_ok(checks)


KINDS = {
    "README.txt": "",
    "tender.json": "",
    "platform/": "",
    "signatures/": "payload.json",
    "signatures": ".p7s",
    "signatures/ ": "about.json",
    "receipts/": "",
    "envelopes/": "",
    "opened/": "",
    "roll/roll.json": "",
    "roll/timestamp.tsr": "",
    "roll/proofs/": "",
    "audit/": "",
    "trust/anchors/": "",
    "trust/stamps/": "",
    "trust/policy.json": "",
    "evidence/certificates/": "",
    "evidence/lists/": "",
}


@pytest.mark.parametrize("how", ["changed", "removed", "added"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_change_of_any_file_is_named_by_the_index(kind: str, how: str, world: World, tmp_path: Path) -> None:
    files = dict(world.buyer)
    name = first(files, kind.strip(), KINDS[kind])
    if how == "changed":
        files[name] = flipped(files[name])
    elif how == "removed":
        del files[name]
    else:
        files[name := f"{name}.more"] = b"something"

    status, checks = checked(packed(files, tmp_path / "export.zip"))

    if status == 2:  # without it there is nothing to check at all
        assert (how, name) in {("removed", "tender.json"), ("removed", "platform/receipt-keys.json")}
        return
    assert status == 1
    assert f"{name}: index" in not_ok(checks)


@pytest.mark.parametrize(
    "change",
    [
        lambda f: lines_again(f, "auctions/1.jsonl", lambda lines: lines[:-1]),
        lambda f: f.update({"auctions/1.jsonl": f["auctions/1.jsonl"].replace(b"240.0000", b"239.0000", 1)}),
        lambda f: lines_again(f, "auctions/1.jsonl", lambda lines: [*lines[:2], *lines[3:]]),
    ],
)
def test_a_changed_auction_is_found(change: Change, world: World, tmp_path: Path) -> None:
    files = dict(world.auction)
    change(files)
    status, checks = checked(packed(signed_again(files), tmp_path / "export.zip"))
    assert status == 1
    assert any(check.startswith("auction") for check in not_ok(checks))


def protocol_again(files: Files, *path: Any, to: Any) -> None:
    """The auction's protocol with something else in it, signed anew by the platform."""
    name = "protocols/auction-1.json"
    edited(files, name, *path, to=to)
    document = json.loads(files[name])
    content = document.pop("statement")["content"] | {"document_sha256": sha256(rfc8785.dumps(document)).hexdigest()}
    files[name] = json.dumps(document | {"statement": keys.sign_receipt(content)}).encode()


@pytest.mark.parametrize(
    "change",
    [
        lambda f: edited(f, "protocols/auction-1.json", "result", "price", to="1.00"),
        lambda f: protocol_again(f, "result", "price", to="1.00"),
        lambda f: protocol_again(f, "result", "winner", to=2),
        lambda f: protocol_again(f, "result", "ranking", to=lambda them: them[:1]),
        lambda f: protocol_again(f, "events", to=lambda them: them[:-1]),
        lambda f: protocol_again(f, "bidders", 0, "label", to=7),
        lambda f: protocol_again(f, "result", "head", to="0" * 64),
        lambda f: protocol_again(f, "lot", "number", to=2),
        lambda f: protocol_again(f, "auction", to=9),
        lambda f: f.update({"protocols/auction-2.json": f.pop("protocols/auction-1.json")}),
    ],
)
def test_a_changed_protocol_of_an_auction_is_found(change: Change, world: World, tmp_path: Path) -> None:
    files = dict(world.auction)
    change(files)
    status, checks = checked(packed(signed_again(files), tmp_path / "export.zip"))
    assert status == 1
    assert any(check.startswith("protocols/auction-") for check in not_ok(checks))


def rewritten(files: Files, change: Callable[[list[Any]], object]) -> None:
    """The whole log of the auction is written anew, hash by hash, after its events were changed."""
    events = [json.loads(line)["content"] for line in files["auctions/1.jsonl"].splitlines()]
    change(events)
    previous, lines = "0" * 64, []
    for event in events:
        event["previous"] = previous
        previous = sha256(rfc8785.dumps(event)).hexdigest()
        lines.append(json.dumps({"content": event, "hash": previous}).encode())
    files["auctions/1.jsonl"] = b"\n".join(lines) + b"\n"


def another_first(events: list[Any]) -> None:
    ranking = events[-1]["detail"]["ranking"]
    ranking[0]["rank"], ranking[1]["rank"] = ranking[1]["rank"], ranking[0]["rank"]


@pytest.mark.parametrize(
    ("change", "check", "why"),
    [
        (another_first, "auctions/1.jsonl: ranking", "its ranking is not the one that its bids give"),
        (
            lambda events: events[-1].update(at=events[1]["at"]),
            "auctions/1.jsonl",
            "it was ended before its end had come",
        ),
    ],
)
def test_what_does_not_follow_from_the_bids_is_found_whatever_its_chain(
    change: Callable[[list[Any]], object], check: str, why: str, world: World, tmp_path: Path
) -> None:
    files = dict(world.auction)
    rewritten(files, change)
    _status, checks = checked(packed(signed_again(files), tmp_path / "export.zip"))
    assert next(one["why"] for one in checks if one["check"] == check) == why


def of_another_lot(files: Files) -> None:
    """The log of lot 1 is told as that of a lot 2, everything signed anew."""
    lots = json.loads(files["tender.json"])["lots"]
    edited(files, "tender.json", "lots", to=[*lots, lots[0] | {"id": 99, "number": 2}])
    files["auctions/2.jsonl"] = files.pop("auctions/1.jsonl")
    del files["protocols/auction-1.json"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            lambda f: edited(f, last(f, "opened/"), "standing", to="230.00"),
            "a bid stands at another amount than the auction left it at",
        ),
        (of_another_lot, "its log is told of another lot"),
    ],
)
def test_what_the_auction_came_to_is_what_the_rest_goes_on_from(
    change: Change, why: str, world: World, tmp_path: Path
) -> None:
    files = dict(world.auction)
    change(files)
    _status, checks = checked(packed(signed_again(files), tmp_path / "export.zip"))
    assert why in [one["why"] for one in checks if one["status"] == "FAILED"]


def test_an_auction_of_which_there_is_no_protocol_is_said_to_be_one(world: World, tmp_path: Path) -> None:
    files = dict(world.auction)
    edited(files, "index.json", "content", "scope", to="supplier")
    del files["protocols/auction-1.json"], files["auctions/1.jsonl"]
    _status, checks = checked(packed(signed_again(files), tmp_path / "export.zip"))
    (said,) = (one for one in checks if one["check"] == "auction")
    assert (said["status"], said["by_design"]) == ("not checkable", True)
    assert said["why"].startswith("no protocol is in it")


def test_moves_that_were_decided_out_of_turn_are_counted(world: World, tmp_path: Path) -> None:
    files = dict(world.auction)
    rewritten(files, lambda events: events[3].update(at=events[1]["at"]))
    _status, checks = checked(packed(signed_again(files), tmp_path / "export.zip"))
    (said,) = (one for one in checks if one["check"] == "auctions/1.jsonl: order")
    assert (said["status"], said["why"][:5]) == ("not checkable", "1 of ")


def test_an_earlier_protocol_betrays_a_log_that_was_written_anew(world: World, tmp_path: Path) -> None:
    earlier = packed(world.auction, tmp_path / "earlier.zip")
    files = dict(world.auction)
    rewritten(files, lambda events: events[2].update(key="another"))
    lines = [json.loads(line) for line in files["auctions/1.jsonl"].splitlines()]
    head = lines[-1]["hash"]
    name = "protocols/auction-1.json"
    edited(files, name, "events", to=lambda them: [one | new for one, new in zip(them, lines, strict=True)])
    edited(files, name, "result", "head", to=head)
    document = json.loads(files[name])
    said = document.pop("statement")["content"]
    said |= {"head": head, "document_sha256": sha256(rfc8785.dumps(document)).hexdigest()}
    files[name] = json.dumps(document | {"statement": keys.sign_receipt(said)}).encode()

    _status, checks = checked(packed(signed_again(files), tmp_path / "export.zip"), "--earlier", str(earlier))

    assert next(one["status"] for one in checks if one["check"] == name) == "ok"
    assert f"{name} was of another log then" in [one["why"] for one in checks]


def test_a_platform_with_another_key_is_not_the_one_that_was_named(world: World, tmp_path: Path) -> None:
    """Everything the platform signs, signed anew by somebody else with a key of the same name."""
    ring = Keyring.parse(new_key_file_text(next(iter(keys.keyring().receipt))))
    public = {name: base64.b64encode(key).decode() for name, key in ring.receipt_public_keys().items()}
    files = dict(world.buyer) | {"platform/receipt-keys.json": json.dumps({"keys": public}).encode()}
    for name in [name for name in files if name.startswith("receipts/")]:
        files[name] = json.dumps(ring.sign_receipt(json.loads(files[name])["content"])).encode()

    status, checks = checked(
        packed(signed_again(files, ring), tmp_path / "export.zip"), "--platform-key", world.fingerprint
    )

    assert (status, "platform key" in not_ok(checks)) == (1, True)


def test_prices_changed_after_the_opening_are_found_with_the_lots_key(world: World, tmp_path: Path) -> None:
    files, key = dict(world.buyer), tmp_path / "lot.key"
    key.write_bytes(world.lot_key)
    name = first(files, "opened/")
    bid = json.loads(files[name])
    bid["lines"][0] |= {"unit_price": "5", "amount": "50.00"}
    bid["total"] = f"{sum(float(line['amount']) for line in bid['lines']):.2f}"
    bid["standing"] = bid["total"]
    files[name] = json.dumps(bid).encode()
    path = packed(signed_again(files), tmp_path / "export.zip")

    _status, without = checked(path)
    status, checks = checked(path, "--lot-key", f"1={key}")

    # Without the key the award betrays it, which the buyer signed over the amounts that stood then.
    (award,) = not_ok(without)
    assert award.endswith(": award")
    assert (status, set(not_ok(checks))) == (1, {award, f"{name}: sealed content"})


def test_a_receipt_or_proof_in_anothers_hand_betrays_a_bid_made_to_vanish(world: World, tmp_path: Path) -> None:
    """The platform forges everything it can: the bid's files are gone, the roll and the audit are made anew."""
    files = dict(world.buyer)
    mine = json.loads(world.proof)["leaf"]
    for name in list(files):
        stem = name.rsplit("/", 1)[-1]
        if name.startswith(("receipts/", "envelopes/", "opened/", "roll/proofs/")) and stem.startswith(
            (f"{mine['bid']}-", f"{mine['bid']}.")
        ):
            files.pop(name)
    (receipt := tmp_path / "receipt.json").write_bytes(world.receipt)
    (proof := tmp_path / "proof.json").write_bytes(world.proof)
    rolled_again(files, lambda leaves: leaves[1:])

    status, checks = checked(
        packed(signed_again(files), tmp_path / "export.zip"),
        "--platform-key", world.fingerprint, "--receipt", str(receipt), "--proof", str(proof),
    )  # fmt: skip

    assert status == 1
    assert {"your receipt receipt.json", "your proof proof.json"} <= set(not_ok(checks))
