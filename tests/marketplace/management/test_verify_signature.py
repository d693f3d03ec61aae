from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from marketplace.signatures import cades, timestamps
from marketplace.signatures.authority import Authority
from marketplace.signatures.sign import sign
from marketplace.signatures.timestamp_authority import DemoTimeStamps
from tests.marketplace.signatures.conftest import AT, IDENTIFIER, PAYLOAD, issue
from tests.marketplace.signatures.test_answers import answer


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A signature, its document, and folders of PEM and DER files beside each other."""
    folder = tmp_path_factory.mktemp("verify")
    authority = Authority.create(AT)
    signer = issue(authority)
    for name in ("trust", "intermediates", "crl", "empty"):
        (folder / name).mkdir()
    (folder / "trust" / "root.pem").write_bytes(b"# Root of the demo\n" + authority.root.pem)
    (folder / "trust" / "notes.txt").write_bytes(b"not a certificate")
    (folder / "intermediates" / "issuing.crt").write_bytes(authority.issuing.der)
    for name, crl in zip(("root", "issuing"), authority.crls(AT), strict=True):
        (folder / "crl" / f"{name}.crl").write_bytes(crl)
    (folder / "payload.json").write_bytes(PAYLOAD)
    (folder / "payload.json.p7s").write_bytes(sign(PAYLOAD, signer, AT))
    (folder / "other.p7s").write_bytes(sign(b"other", signer, AT))
    return folder


@pytest.fixture(scope="module")
def stamped(files: Path) -> Path:
    """A signature whose certificate was revoked since, stamped before; an answer instead of a list; bad trust."""
    authority, stamps = Authority.create(AT), DemoTimeStamps.create(AT)
    signer, good = issue(authority), issue(authority)
    authority.revoke(signer.serial, AT - timedelta(days=1))
    for name in ("trust", "crl", "tsa", "answers"):
        (files / f"stamped-{name}").mkdir()
    (files / "stamped-trust" / "root.pem").write_bytes(authority.root.pem)
    (files / "stamped-tsa" / "root.pem").write_bytes(stamps.above.root.pem)
    for number, crl in enumerate((*authority.crls(AT), *stamps.above.crls(AT))):
        (files / "stamped-crl" / f"{number}.crl").write_bytes(crl)
    for number, (about, by) in enumerate(((good, authority.issuing), (authority.issuing, authority.root))):
        (files / "stamped-answers" / f"{number}.ors").write_bytes(answer(about, by))
    signature = sign(PAYLOAD, signer, AT)
    (files / "revoked.p7s").write_bytes(signature)
    asked = timestamps.request(sha256(cades.stamped_value(signature)).digest())
    token = timestamps.read_answer(stamps.server.answer(asked.encoded, AT - timedelta(days=2)), asked)
    (files / "stamped.p7s").write_bytes(cades.attach(signature, token.encoded))
    (files / "good.p7s").write_bytes(sign(PAYLOAD, good, AT))
    (files / "bad-trust").mkdir()
    (files / "bad-trust" / "root.der").write_bytes(b"garbage")
    return files


def test_time_stamp_proves_that_the_signature_is_older(stamped: Path) -> None:
    trust = {"trust": "stamped-trust", "crl": "stamped-crl"}

    assert _verdict(stamped, "revoked.p7s", **trust) == (1, "REVOKED_NO_POE", None)
    assert _verdict(stamped, "stamped.p7s", **trust) == (1, "REVOKED_NO_POE", None)
    assert _verdict(stamped, "stamped.p7s", **trust, tsa_trust="stamped-tsa") == (0, None, "2026-11-20T10:00:00Z")


def test_answers_do_instead_of_lists(stamped: Path) -> None:
    trust = {"trust": "stamped-trust", "crl": None}

    assert _verdict(stamped, "good.p7s", **trust, ocsp="stamped-answers") == (0, None, None)
    assert _verdict(stamped, "good.p7s", **trust, ocsp="empty") == (1, "TRY_LATER", None)
    assert _verdict(stamped, "revoked.p7s", **trust, ocsp="stamped-answers") == (1, "TRY_LATER", None)


def test_policy_that_cannot_be_processed_is_a_verdict(stamped: Path) -> None:
    assert _verdict(stamped, "good.p7s", trust="bad-trust") == (1, "POLICY_PROCESSING_ERROR", None)
    assert _verdict(stamped, "good.p7s", eku="no identifier") == (1, "POLICY_PROCESSING_ERROR", None)


def _verdict(files: Path, signature: str, **options: Any) -> tuple[int, str | None, str | None]:
    status, out = run(files, signature, **options)
    report = json.loads(out)
    return status, report["sub_indication"], report["timestamp"]


def run(files: Path, signature: str = "payload.json.p7s", **options: Any) -> tuple[int, str]:
    """Exit status and output of the command, judging as of the time of signing."""
    stated = {"payload": "payload.json", "trust": "trust", "crl": "crl"} | options
    arguments = [str(files / signature), "--at", AT.isoformat()]
    for name, value in stated.items():
        if value is not None:
            path = name in {"payload", "trust", "crl", "intermediates", "ocsp", "tsa_trust"}
            arguments += [f"--{name.replace('_', '-')}", str(files / value) if path else str(value)]
    out = StringIO()
    try:
        call_command("verify_signature", *arguments, "--json", stdout=out, stderr=StringIO())
    except SystemExit as stopped:
        return int(stopped.code or 0), out.getvalue()
    except CommandError as refused:
        return refused.returncode, out.getvalue()
    return 0, out.getvalue()


def test_passed_is_zero_with_the_whole_report(files: Path) -> None:
    status, out = run(files, intermediates="intermediates", identifier=IDENTIFIER)

    report = json.loads(out)
    assert status == 0
    assert list(report) == ["indication", "sub_indication", "reasons", "signer", "signed_at", "timestamp"]
    assert list(report["signer"]) == ["subject", "serial", "identifiers"]
    assert (report["indication"], report["sub_indication"]) == ("TOTAL-PASSED", None)
    assert report["signer"]["identifiers"] == [IDENTIFIER]
    assert report["signed_at"] == "2026-11-22T10:00:00Z"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"signature": "other.p7s"}, "HASH_FAILURE"),
        ({"signature": "payload.json"}, "FORMAT_FAILURE"),
        ({"payload": "missing.json"}, "SIGNED_DATA_NOT_FOUND"),
        ({"trust": "empty"}, "NO_CERTIFICATE_CHAIN_FOUND"),
        ({"crl": None}, "TRY_LATER"),
        ({"crl": "empty"}, "TRY_LATER"),
        ({"identifier": "TINRU-7700000000"}, "SIG_CONSTRAINTS_FAILURE"),
        ({"eku": "1.3.6.1.5.5.7.3.4"}, "CHAIN_CONSTRAINTS_FAILURE"),
    ],
)
def test_any_other_verdict_is_one(files: Path, options: dict[str, Any], expected: str) -> None:
    status, out = run(files, **options)

    assert status == 1
    assert json.loads(out)["sub_indication"] == expected
    assert json.loads(out)["reasons"]


@pytest.mark.parametrize(
    "options", [{"signature": "missing.p7s"}, {"trust": "missing"}, {"crl": "missing"}, {"intermediates": "missing"}]
)
def test_missing_input_is_wrong_usage(files: Path, options: dict[str, Any]) -> None:
    assert run(files, **options) == (2, "")


def test_without_json_it_speaks_to_a_person(files: Path) -> None:
    out = StringIO()
    arguments = ["--payload", str(files / "payload.json"), "--trust", str(files / "trust")]

    with pytest.raises(SystemExit):
        call_command(
            "verify_signature",
            str(files / "other.p7s"),
            *arguments,
            "--at",
            AT.isoformat(),
            stdout=out,
            stderr=StringIO(),
        )

    assert out.getvalue().startswith("TOTAL-FAILED: HASH_FAILURE\n  The signature is for another document")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--payload", "payload.json", "--trust", "trust", "--crl", "crl", "--at", "2026-11-22T10:00:00Z"], 0),
        (["--payload", "payload.json", "--trust", "trust", "--at", "2026-11-22T10:00:00Z"], 1),
        (["--payload", "payload.json", "--trust", "trust", "--at", "2026-11-22T10:00:00"], 2),
        (["--payload", "payload.json"], 2),
        (["--trust", "trust", "--no-such-option"], 2),
    ],
)
def test_exit_status_without_any_database(files: Path, arguments: list[str], status: int) -> None:
    done = subprocess.run(
        [
            sys.executable,
            str(settings.BASE_DIR / "manage.py"),
            "verify_signature",
            "payload.json.p7s",
            *arguments,
            "--json",
        ],
        cwd=files,
        env=os.environ | {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none", "BROKER_URL": "redis://127.0.0.1:1"},
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == status, done.stderr.decode()
    assert bool(done.stdout) is (status < 2)
