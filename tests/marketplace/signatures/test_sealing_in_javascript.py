"""What the browser seals the server opens, and the other way round. The page's own code runs under Node."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from marketplace.signatures import sealing

ASSETS = Path(__file__).parents[3] / "assets"
INFO = "lot 1: цена".encode()

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (ASSETS / "node_modules").exists(), reason="needs node and its packages"
)


def _tool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = ["node", "tools/sealing.mjs", *map(str, arguments)]
    return subprocess.run(command, cwd=ASSETS, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("size", [0, 5, sealing.CHUNK, 2 * sealing.CHUNK + 1])
def test_document_sealed_in_javascript_opens_in_python(tmp_path: Path, size: int) -> None:
    lot, plain = sealing.new_key_pair(), os.urandom(size)
    (tmp_path / "plain").write_bytes(plain)

    done = _tool("seal", lot.public.hex(), INFO.hex(), tmp_path / "plain", tmp_path / "sealed")

    sealed = (tmp_path / "sealed").read_bytes()
    assert json.loads(done.stdout) == {
        "size": len(sealed),
        "sha256": hashlib.sha256(sealed).hexdigest(),
        "plainSha256": hashlib.sha256(plain).hexdigest(),
    }
    target = io.BytesIO()
    sealing.open_stream(lot.private, io.BytesIO(sealed), target, INFO)
    assert target.getvalue() == plain


@pytest.mark.parametrize("size", [0, 5, sealing.CHUNK, 2 * sealing.CHUNK + 1])
def test_document_sealed_in_python_opens_in_javascript(tmp_path: Path, size: int) -> None:
    lot, plain = sealing.new_key_pair(), os.urandom(size)
    with (tmp_path / "sealed").open("wb") as target:
        sealing.seal_stream(lot.public, io.BytesIO(plain), target, INFO)

    done = _tool("open", lot.private.hex(), INFO.hex(), tmp_path / "sealed", tmp_path / "plain")

    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "plain").read_bytes() == plain


def test_document_cut_short_does_not_open_in_javascript(tmp_path: Path) -> None:
    lot, sealed = sealing.new_key_pair(), io.BytesIO()
    sealing.seal_stream(lot.public, io.BytesIO(bytes(sealing.CHUNK + 1)), sealed, INFO)
    (tmp_path / "sealed").write_bytes(sealed.getvalue()[: sealing.HEADER_SIZE + sealing.CHUNK + sealing.TAG_SIZE])

    done = _tool("open", lot.private.hex(), INFO.hex(), tmp_path / "sealed", tmp_path / "plain")

    assert done.returncode == 1


def test_message_is_the_same_in_both(tmp_path: Path) -> None:
    lot = sealing.new_key_pair()
    (tmp_path / "plain").write_bytes(b"share 1 of 3")

    _tool("seal-raw", lot.public.hex(), INFO.hex(), tmp_path / "plain", tmp_path / "sealed")
    assert sealing.open_sealed(lot.private, (tmp_path / "sealed").read_bytes(), INFO) == b"share 1 of 3"

    (tmp_path / "sealed").write_bytes(sealing.seal(lot.public, b"share 2 of 3", INFO))
    _tool("open-raw", lot.private.hex(), INFO.hex(), tmp_path / "sealed", tmp_path / "plain")
    assert (tmp_path / "plain").read_bytes() == b"share 2 of 3"


def test_public_key_is_derived_from_the_private_one() -> None:
    lot = sealing.new_key_pair()

    assert _tool("public-key", lot.private.hex()).stdout.strip() == lot.public.hex()
