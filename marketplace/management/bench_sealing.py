"""How long a browser takes to seal a document of 100 MB and hand it over: the page's own worker in a real Chromium,
beside what WebCrypto alone needs for the same bytes."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from django.conf import settings
from django.core.management.base import CommandError

from marketplace.management.benching import Run
from marketplace.signatures import sealing

MEGABYTES: Final = 100
_SIZE: Final = MEGABYTES * 1024 * 1024
_RUNS: Final = 5
_LARGEST_PART: Final = 8 * 1024 * 1024

# A document of random bytes, sealed by the worker and put to this very server, which throws it away.
_PAGE: Final = """
async ([size, key, part]) => {
  const random = new Uint8Array(size);
  for (let at = 0; at < size; at += 65536) crypto.getRandomValues(random.subarray(at, at + 65536));
  const document_ = new File([random], "drawing.zip");
  const limit = async () => {
    const started = performance.now();
    const aes = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt"]);
    const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv: new Uint8Array(12) }, aes, random);
    await crypto.subtle.digest("SHA-256", random);
    await crypto.subtle.digest("SHA-256", sealed);
    return performance.now() - started;
  };
  const product = () => new Promise((resolve, reject) => {
    const started = performance.now();
    const worker = new Worker("/sealing-worker.js", { type: "module" });
    worker.onerror = (event) => reject(new Error(event.message));
    worker.onmessage = ({ data }) => {
      if (data.kind === "failed") reject(new Error(`${data.why} ${data.sentence}`));
      if (data.kind !== "sent") return;
      worker.terminate();
      resolve([performance.now() - started, data.sealedSha256]);
    };
    worker.postMessage({
      document: document_,
      publicKey: Uint8Array.from(key),
      info: new TextEncoder().encode("bench"),
      fileKey: crypto.getRandomValues(new Uint8Array(32)),
      url: `${location.origin}/upload/`,
      csrf: "",
      largestPart: part,
    });
  });
  const alone = await limit();
  const [sealed] = await product();
  return [alone / 1000, sealed / 1000];
}
"""


def measure(run: Run) -> dict[str, Any]:
    """Seconds for 100 MB, median of five turns: a turn is one document, however many seconds are asked for."""
    try:
        from playwright.sync_api import sync_playwright  # not installed where nothing is tested
    except ImportError as error:
        raise CommandError("This part needs Playwright: install requirements/dev.txt.") from error
    program = os.environ.get("OPENLOT_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        raise CommandError("This part needs Chromium: install the system's package, or set OPENLOT_CHROMIUM.")
    options = ["--no-first-run", "--disable-background-networking", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    key = list(sealing.new_key_pair().public)
    run.say(f"A document of {MEGABYTES} MB, sealed by the page’s worker and sent to a server that throws it away.")
    found = []
    with _server() as address, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=options)
        version = chromium.version
        for _run in range(_RUNS):
            page = chromium.new_page()
            page.goto(address)
            found.append(page.evaluate(_PAGE, [_SIZE, key, _LARGEST_PART]))
            run.say(f"WebCrypto alone {found[-1][0]:.2f} s, sealed and sent {found[-1][1]:.2f} s")
            page.close()
        chromium.close()
    limit, product = (round(statistics.median(column), 2) for column in zip(*found, strict=True))
    return {
        "bench": "sealing",
        "unit": f"seconds for {MEGABYTES} MB, sealed and handed to a local server",
        "limit": limit,
        "product": product,
        "ratio": round(product / limit, 2),
        "megabytes_per_second": round(MEGABYTES / product, 1),
        "target_seconds": 5,
        "browser": f"Chromium {version}",
    }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/sealing-worker.js":
            script = settings.BASE_DIR / "marketplace" / "static" / "build" / "sealing-worker.js"
            self._answer(script.read_bytes(), "text/javascript")
        else:
            self._answer(b"<!doctype html><title>bench</title>", "text/html")

    def do_PUT(self) -> None:
        left = int(self.headers["Content-Length"])
        received = int(parse_qs(urlsplit(self.path).query)["offset"][0]) + left
        while left:
            left -= len(self.rfile.read(min(left, 1024 * 1024)))
        self._answer(json.dumps({"received": received}).encode(), "application/json")

    def log_message(self, *_arguments: object) -> None:
        pass

    def _answer(self, body: bytes, media_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def _server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        # A name that browsers take for secure: WebCrypto is there on such pages only.
        yield f"http://localhost:{server.server_address[1]}/"
    finally:
        server.shutdown()
