"""A certification authority of one's own, for demonstrations and trials: make it, issue, revoke, publish its lists."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from marketplace.services import trust_store
from marketplace.shared import clock
from marketplace.signatures.authority import Authority


class Command(BaseCommand):
    help = "Runs a demo certification authority in a folder, for demonstrations and trials."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--folder", type=Path, default=settings.LOCAL_DIR / "demo-ca", help="where it lives")
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("create", help="make the authority's keys and certificates")
        actions.add_parser("trust", help="put it into this platform's trust store, with its current revocation lists")
        issue = actions.add_parser("issue", help="issue a certificate as .p12, .crt.pem and .key.pem")
        issue.add_argument("--person", required=True)
        issue.add_argument("--organisation", required=True)
        issue.add_argument("--identifier", action="append", required=True, metavar="TINRU-7701234567")
        issue.add_argument("--password", required=True, help="of the .p12 file")
        issue.add_argument("--days", type=int, default=365)
        issue.add_argument("--key", default="p256", choices=["p256", "p384", "rsa-2048", "rsa-3072"])
        issue.add_argument("--eku", default=settings.SIGNING_EKU_OID)
        issue.add_argument("--out", type=Path, required=True, metavar="NAME", help="path without a suffix")
        revoke = actions.add_parser("revoke", help="revoke a certificate")
        revoke.add_argument("serial", type=lambda text: int(text, 16), help="its serial number in hexadecimal")
        crl = actions.add_parser("crl", help="write both revocation lists, root.crl and issuing.crl")
        crl.add_argument("--days", type=int, default=30)

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["folder"]
        if options["action"] == "create":
            self._create(folder)
            return
        try:
            authority = Authority.load(folder)
        except FileNotFoundError:
            raise CommandError(f"There is no authority in {folder}: run demo_ca create first.") from None
        match options["action"]:
            case "trust":
                if settings.PRODUCTION:
                    raise CommandError("A demo authority is not trusted in production: anybody may hold its keys.")
                trust_store.trust_demo(authority, at=clock.now())
                self.stdout.write("Trusted.")
            case "issue":
                self._issue(authority, options)
            case "revoke":
                authority.revoke(options["serial"], clock.now())
                authority.save(folder)
                self.stdout.write("Revoked. Publish the new list with demo_ca crl.")
            case "crl":
                for name, der in zip(
                    ("root", "issuing"), authority.crls(clock.now(), timedelta(days=options["days"])), strict=True
                ):
                    (folder / f"{name}.crl").write_bytes(der)
                    self.stdout.write(str(folder / f"{name}.crl"))

    def _create(self, folder: Path) -> None:
        if (folder / "root.key.pem").exists():
            raise CommandError(f"There is an authority in {folder} already.")
        Authority.create(clock.now()).save(folder)
        self.stdout.write(f"Created. Trust {folder / 'root.crt.pem'}.")

    def _issue(self, authority: Authority, options: dict[str, Any]) -> None:
        now = clock.now()
        credential = authority.issue(
            person=options["person"],
            organisation=options["organisation"],
            identifiers=options["identifier"],
            at=now,
            validity=timedelta(days=options["days"]),
            key_type=options["key"],
            eku=options["eku"],
        )
        for path in credential.save(options["out"], options["password"]):
            self.stdout.write(str(path))
        self.stdout.write(f"Serial number: {credential.serial:X}")
