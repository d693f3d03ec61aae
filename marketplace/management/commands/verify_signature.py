"""Judge a signature file from the command line, with the engine the platform itself uses. Needs no database."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentTypeError
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asn1crypto import pem
from django.core.management.base import BaseCommand, CommandError, CommandParser

from marketplace.shared import clock
from marketplace.signatures import Evidence, Policy, Report, verify_bounded
from marketplace.signatures.bounded import WALL_SECONDS
from marketplace.signatures.gate import MAX_SIZE

#: How much of a revocation list is surely read in a second.
_BYTES_A_SECOND = 2_000_000


class Command(BaseCommand):
    help = (
        "Judges a detached CAdES signature. DIR holds PEM or DER files. "
        "Exit status: 0 for TOTAL-PASSED, 1 for any other verdict, 2 for wrong usage."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("signature", type=Path, metavar="SIG.p7s", help="the signature, CMS in DER form")
        parser.add_argument("--payload", type=Path, required=True, metavar="FILE", help="the document that was signed")
        parser.add_argument("--trust", type=Path, required=True, metavar="DIR", help="trust anchors")
        parser.add_argument("--intermediates", type=Path, metavar="DIR", help="authorities known besides those sent")
        parser.add_argument("--crl", type=Path, metavar="DIR", help="certificate revocation lists")
        parser.add_argument("--ocsp", type=Path, metavar="DIR", help="OCSP responses")
        parser.add_argument("--tsa-trust", type=Path, metavar="DIR", help="trust anchors of time-stamp authorities")
        parser.add_argument("--eku", metavar="OID", help="extended key usage the certificate must name")
        parser.add_argument(
            "--identifier",
            action="append",
            default=[],
            metavar="TINXX-7701234567",
            help="the organisation's identifier; given several times, one must match",
        )
        parser.add_argument("--at", type=_moment, metavar="TIME", help="judge as of this time (ISO 8601, with a zone)")
        parser.add_argument("--min-rsa", type=int, default=2048, metavar="BITS", help="smallest RSA key accepted")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        crls, ocsps = self._all(options["crl"], "--crl"), self._all(options["ocsp"], "--ocsp")
        report = verify_bounded(
            self._signature(options["signature"]),
            _payload(options["payload"]),
            Policy(
                anchors=self._all(options["trust"], "--trust"),
                intermediates=self._all(options["intermediates"], "--intermediates"),
                tsa_anchors=self._all(options["tsa_trust"], "--tsa-trust"),
                eku=options["eku"],
                identifiers=frozenset(options["identifier"]),
                min_rsa=options["min_rsa"],
            ),
            options["at"] or clock.now(),
            Evidence(crls=crls, ocsps=ocsps),
            # The two seconds are for the signature; the operator's own lists are read in addition, here each time.
            seconds=WALL_SECONDS + sum(map(len, crls)) / _BYTES_A_SECOND,
        )
        if options["json"]:
            self.stdout.write(self._json(report))
        else:
            self.stdout.write("\n".join(_lines(report)))
        if not report.passed:
            sys.exit(1)

    def _signature(self, path: Path) -> bytes:
        try:
            with path.open("rb") as file:
                return file.read(MAX_SIZE + 1)
        except OSError as error:
            raise CommandError(f"The signature cannot be read: {path}: {error.strerror}.", returncode=2) from error

    def _json(self, report: Report) -> str:
        """In letters where the terminal has them, escaped where it has not."""
        text = json.dumps(report.as_dict(), ensure_ascii=False)
        try:
            text.encode(getattr(self.stdout, "encoding", None) or "utf-8")
        except UnicodeEncodeError:
            return json.dumps(report.as_dict())
        return text

    def _all(self, folder: Path | None, option: str) -> tuple[bytes, ...]:
        """The DER objects in a folder's files, or in one file."""
        if folder is None:
            return ()
        if not folder.exists():
            raise CommandError(f"{option}: there is no {folder}.", returncode=2)
        files = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else [folder]
        return tuple(self._objects(files))

    def _objects(self, files: Iterable[Path]) -> Iterator[bytes]:
        for path in files:
            try:
                content = path.read_bytes()
                if pem.detect(content):
                    yield from (der for _, _, der in pem.unarmor(content, multiple=True))
                else:
                    yield content
            except (OSError, ValueError) as error:
                self.stderr.write(f"Left out: {path} ({error}).")


def _payload(path: Path) -> bytes | None:
    """An absent document is a verdict of its own, not wrong usage."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CommandError(f"The document cannot be read: {path}: {error.strerror}.", returncode=2) from error


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no time such as 2026-11-22T10:00:00Z") from None
    if moment.tzinfo is None:
        raise ArgumentTypeError(f"{text!r} lacks its zone: end it with Z for UTC")
    return moment.astimezone(UTC)


def _lines(report: Report) -> Iterator[str]:
    yield str(report.indication) + (f": {report.sub_indication}" if report.sub_indication else "")
    yield from (f"  {reason}" for reason in report.reasons)
    if report.signer:
        yield f"Signer: {report.signer.subject}"
        yield f"Serial number: {report.signer.serial}"
    if report.signed_at:
        yield f"Signed (as the signer says): {report.signed_at:%Y-%m-%d %H:%M:%S} UTC"
    if report.timestamp:
        yield f"Time stamp (by an authority): {report.timestamp:%Y-%m-%d %H:%M:%S} UTC"
