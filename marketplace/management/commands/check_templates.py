"""`manage.py check_templates`: every template compiles, and every string a person reads can be translated.

Needs no gettext programs: the strings are extracted as Django prepares them and Babel reads them.
"""

import ast
import io
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from babel.messages.extract import extract
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.template import TemplateSyntaxError, engines
from django.template.base import Lexer, TokenType
from django.utils.translation.template import templatize

APPS = ("marketplace", "procurement", "analytics")
_KEYWORDS: dict[str, Any] = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}
_READ_ALOUD = {"alt", "title", "placeholder", "aria-label", "aria-description", "aria-roledescription", "label"}
# Not for people to read, or the same in every language (as HTML's own attribute translate="no" says).
_UNREAD = {"script", "style", "svg", "code", "kbd", "samp"}
# Two letters of which one is small: abbreviations (UTC, SHA-256) are the same in every language.
_WORD = re.compile(r"(?=\w*[^\W\d_A-Z])[^\W\d_]{2,}")
# A sentence handed to a component or a filter without _(…): {% include "…" with title="Your bids" %}, |default:"None".
_BARE_ARGUMENT = re.compile(
    r"\b(?:title|text|label|hint|help|message|caption|heading|action_label|empty)=(?P<a>\"[^\"]*\"|'[^']*')"
    r"|\|(?:default|default_if_none|yesno):(?P<b>\"[^\"]*\"|'[^']*')"
)


class Command(BaseCommand):
    help = "Check that every template compiles and that every string in it is marked for translation."
    requires_system_checks: list[str] = []

    def handle(self, *args: object, **options: object) -> None:
        faults: list[str] = []
        strings: set[object] = set()
        templates = list(_templates())
        for name, path in templates:
            source = path.read_text()
            shown = path.relative_to(settings.BASE_DIR)
            faults += [f"{shown}: {fault}" for fault in _compile_faults(name, source)]
            faults += [f"{shown}:{line}: not marked for translation: {text!r}" for line, text in unmarked(source)]
            strings.update(_strings_of_template(source))
        for app in APPS:
            for path in sorted((settings.BASE_DIR / app).rglob("*.py")):
                if "migrations" not in path.parts:
                    shown = path.relative_to(settings.BASE_DIR)
                    source = path.read_text()
                    composed = unextractable(source)
                    faults += [f"{shown}:{line}: no literal to translate: {text}" for line, text in composed]
                    strings.update(_extracted("python", source))
        if faults:
            raise CommandError("\n".join(["The templates need mending:", *faults]))
        self.stdout.write(f"{len(templates)} templates compile; {len(strings)} strings can be translated.")


def _templates() -> Iterator[tuple[str, Path]]:
    """Name and path of every template of the project, not those of its dependencies."""
    folders = [settings.BASE_DIR / "templates", *(settings.BASE_DIR / app / "templates" for app in APPS)]
    for folder in folders:
        for path in sorted(Path(folder).rglob("*")):
            if path.suffix in {".html", ".txt"}:
                yield str(path.relative_to(folder)), path


def _compile_faults(name: str, source: str) -> Iterator[str]:
    engine: Any = engines["django"]
    try:
        engine.get_template(name)
    except TemplateSyntaxError as error:
        yield f"does not compile: {error}"
    for included in re.findall(r"{%\s*(?:include|extends)\s+[\"']([^\"']+)[\"']", source):
        try:
            engine.get_template(included)
        except Exception as error:  # noqa: BLE001 - whatever keeps an included template from loading is a fault to show
            yield f"includes {included}, which does not load: {error}"


def unmarked(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of what a person would read in this template but a translator would not find.

    Text is exempt inside an element with translate="no" (a name, a code, the same in every language), and so is a
    template that begins with a comment {# translate="no": why #}.
    """
    if source.startswith('{# translate="no": '):
        return iter(())
    parser = _ReadText()
    inside: list[str] = []  # the tags around us whose text is translated already, or not read by people
    for token in Lexer(source).tokenize():
        line, words = token.lineno or 0, token.contents.split()
        if token.token_type == TokenType.BLOCK and words:
            if inside and words[0] == f"end{inside[-1]}":
                inside.pop()
            elif words[0] in ("blocktranslate", "comment") or (words[0] == "block" and words[1].endswith("_class")):
                inside.append(words[0])
        if inside:
            continue
        if token.token_type in (TokenType.BLOCK, TokenType.VAR):
            for match in _BARE_ARGUMENT.finditer(token.contents):
                text = (match["a"] or match["b"])[1:-1]
                if _WORD.search(text) and (" " in text or text[0].isupper()) and text != settings.SITE_NAME:
                    parser.found.append((line, text))
        elif token.token_type == TokenType.TEXT:
            parser.line = line
            parser.feed(token.contents)
    return iter(sorted(parser.found))


class _ReadText(HTMLParser):
    """Collects the text and attributes of a template that people read or hear."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[int, str]] = []
        self.line = 0
        self._exempt: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._exempt:
            if tag == self._exempt[-1]:
                self._exempt.append(tag)
            return
        for name, value in attrs:
            if name in _READ_ALOUD or (tag == "input" and name == "value" and ("type", "submit") in attrs):
                self._look_at(value or "")
        if tag in _UNREAD or ("translate", "no") in attrs:
            self._exempt.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._exempt and tag == self._exempt[-1]:
            self._exempt.pop()

    def handle_data(self, data: str) -> None:
        if not self._exempt:
            self._look_at(data)

    def _look_at(self, text: str) -> None:
        if _WORD.search(text):
            self.found.append((self.line, " ".join(text.split())))


def unextractable(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each translation call whose string is put together, so that no translator would find it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _KEYWORDS and node.args:
            match node.args[0]:
                case ast.JoinedStr() | ast.BinOp() | ast.Call(func=ast.Attribute(attr="format")):
                    yield node.lineno, ast.unparse(node)


def _strings_of_template(source: str) -> Iterator[object]:
    # What Django prepares for xgettext is no valid Python; Babel's reader of JavaScript minds only the calls in it.
    return _extracted("javascript", templatize(source))


def _extracted(language: str, source: str) -> Iterator[object]:
    options = {"encoding": "utf-8"}
    for _line, message, _comments, _context in extract(language, io.BytesIO(source.encode()), _KEYWORDS, (), options):
        yield message
