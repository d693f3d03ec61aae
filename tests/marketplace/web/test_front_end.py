"""What holds between the scripts and the pages: translated sentences, the policy, and the signing component."""

import re
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest
from django import forms
from django.template.loader import render_to_string

from marketplace.web import bundle
from marketplace.web.forms import OpenlotBoundField
from marketplace.web.script_words import SENTENCES

ROOT = Path(__file__).resolve().parents[3]
SOURCES = sorted((ROOT / "assets" / "src").rglob("*.ts"))
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))


def test_every_sentence_of_the_scripts_can_be_translated() -> None:
    said = {
        sentence
        for source in SOURCES
        for call in re.findall(r"\bsay\(\s*((?:[^()\"]|\"[^\"]*\")*?)(?:,\s*\{|\))", source.read_text("utf-8"))
        for sentence in re.findall(r'"([^"]+)"', call)
    }
    assert said <= set(SENTENCES)
    assert len(said) > 50


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "templates")))
def test_no_template_needs_more_than_the_policy_allows(template: Path) -> None:
    text = template.read_text("utf-8")
    assert not re.search(r"\sstyle\s*=", text)
    assert not re.search(r"\son[a-z]+\s*=\s*[\"']", text)
    assert not re.search(r"<style\b|javascript:|hx-on", text)
    scripts = re.findall(r"<script\b[^>]*>", text)
    assert all("src=" in tag or "application/json" in tag for tag in scripts)


def test_the_key_file_and_its_password_cannot_be_sent() -> None:
    payload = b'{"action":"bid.submit"}'
    signing = SimpleNamespace(nonce="n", payload=payload, payload_sha256=sha256(payload).hexdigest(), expires_at=None)
    page = render_to_string("components/_sign.html", {"signing": signing, "facts": [], "payload_url": "/payload"})
    key_inputs = re.findall(r'<input[^>]*id="sign-(?:file|password)"[^>]*>', page)
    assert len(key_inputs) == 2
    assert not any(" name=" in one for one in key_inputs)
    assert 'data-payload="eyJhY3Rpb24iOiJiaWQuc3VibWl0In0="' in page
    assert "{&quot;action&quot;:&quot;bid.submit&quot;}" in page


def test_a_wrong_field_says_so_to_everybody() -> None:
    class Form(forms.Form):
        price = forms.DecimalField(label="Price", help_text="Without VAT")

    form = Form({"price": "abc"})
    assert isinstance(form["price"], OpenlotBoundField)
    page = str(form)
    assert 'href="#id_price"' in page
    assert re.search(r'<input[^>]*class="form-control is-invalid"[^>]*>', page)
    assert 'aria-invalid="true"' in page
    assert 'aria-describedby="id_price_helptext id_price_error"' in page
    assert 'id="id_price_error"' in page


def test_the_bundle_was_built_with_its_hashes() -> None:
    assert {"app.js", "app.css", "app.rtl.css", "signing.js", "forge.js", "live.js", "charts.js", "theme.js"} <= set(
        bundle.hashes()
    )
    assert "path" in bundle.icon("gavel")
