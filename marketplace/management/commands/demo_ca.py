"""A certification authority of one's own, for demonstrations and trials: make it, issue, revoke, publish its lists."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from marketplace.models import RevocationSource, TrustedCertificate
from marketplace.services import revocation_sources, stamping, timestamps, trust_store
from marketplace.shared import clock
from marketplace.signatures.authority import Authority
from marketplace.signatures.publication import Publication


class Command(BaseCommand):
    help = "Runs a demo certification authority in a folder, for demonstrations and trials."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--folder", type=Path, default=settings.LOCAL_DIR / "demo-ca", help="where it lives")
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("create", help="make the authority's keys and certificates")
        actions.add_parser("trust", help="put it into this platform's trust store, with its current revocation lists")
        actions.add_parser(
            "time-stamps", help="make a time-stamp authority beside it and trust that, for local: stamps"
        )
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
        serve = actions.add_parser("serve", help="publish the lists, and answer about certificates, on this machine")
        serve.add_argument("--port", type=int, default=8002, help="another one is taken where it is not free")

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["folder"]
        if options["action"] == "create":
            self._create(folder)
            return
        if options["action"] == "time-stamps":
            self._time_stamps()
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
            case "serve":
                self._serve(folder, options["port"])
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

    def _time_stamps(self) -> None:
        if settings.PRODUCTION:
            raise CommandError("A demo authority is not trusted in production: anybody may hold its keys.")
        timestamps.trust_demo(settings.TIMESTAMP_LOCAL_DIR, at=clock.now())
        # The made-up past was signed without the services: its signatures wait for a stamp from now on.
        stamping.find_forgotten(at=clock.now())
        self.stdout.write(f"Trusted. Its key lies in {settings.TIMESTAMP_LOCAL_DIR}; TIMESTAMP_AUTHORITY_URLS=local:")

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

    def _serve(self, folder: Path, port: int) -> None:
        if settings.PRODUCTION:
            raise CommandError("A demo authority does not serve in production: anybody may hold its keys.")
        with Publisher(folder, port) as server:
            self.stdout.write(f"{server.url}/issuing.crl\n{server.url}/root.crl\n{server.url}/ocsp")
            self.stdout.flush()
            enter_addresses(Authority.load(folder), server.url)
            with contextlib.suppress(KeyboardInterrupt):
                server.serve_forever()


class Publisher(ThreadingHTTPServer):
    """The authority's web server. Its folder is read at every request: a revocation shows at once."""

    daemon_threads = True

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self._issued: dict[datetime, dict[str, bytes]] = {}
        self._lock = threading.Lock()
        try:
            super().__init__(("127.0.0.1", port), _Answers)
        except OSError:
            super().__init__(("127.0.0.1", 0), _Answers)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def lists(self) -> tuple[str, dict[str, bytes]]:
        """What the lists in force are known by, and the lists."""
        public, now = Publication(Authority.load(self.folder)), clock.now()
        issued = public.issued_at(now)
        with self._lock:
            if issued not in self._issued:
                self._issued = {issued: public.lists(now)}
            return f'"{issued:%Y%m%d%H%M%S}"', self._issued[issued]

    def answer(self, request: bytes) -> bytes:
        return Publication(Authority.load(self.folder)).answer(request, clock.now())


class _Answers(BaseHTTPRequestHandler):
    server: Publisher

    def do_GET(self) -> None:
        known, lists = self.server.lists()
        body = lists.get(self.path.lstrip("/"))
        if body is None:
            self._send(404, "text/plain", b"", "")
        elif self.headers.get("If-None-Match") == known:
            self._send(304, "application/pkix-crl", b"", known)
        else:
            self._send(200, "application/pkix-crl", body, known)

    def do_POST(self) -> None:
        asked = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), 10_000))
        self._send(200, "application/ocsp-response", self.server.answer(asked), "")

    def _send(self, status: int, kind: str, body: bytes, known: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if known:
            self.send_header("ETag", known)
        self.end_headers()
        self.wfile.write(body)


def enter_addresses(authority: Authority, url: str) -> None:
    """Where the platform trusts this authority: have it fetch the lists here, and nowhere it was served before."""
    now = clock.now()
    for credential, name in ((authority.root, "root.crl"), (authority.issuing, "issuing.crl")):
        trusted = TrustedCertificate.objects.filter(sha256=hashlib.sha256(credential.der).hexdigest()).first()
        if trusted is None:
            continue
        address = f"{url}/{name}"
        elsewhere = RevocationSource.objects.filter(authority=trusted, url__startswith="http://127.0.0.1:")
        elsewhere.exclude(url=address).delete()
        if not elsewhere.exists():
            revocation_sources.add(trusted.pk, RevocationSource.Kind.CRL, address, by=None, at=now)
