"""What parts the columns of a text, and the cells of one record."""

from __future__ import annotations

import csv
import re

from django.utils.translation import gettext_lazy as _

from analytics.features.files import FileUnreadable

DELIMITERS = ",;\t|"
BLANKS = " "
"""Stands for runs of blanks and tabs between columns, and before the first one."""


class DelimiterUnusable(FileUnreadable):
    code = "purchase_file_delimiter_unusable"
    sentence = _("Columns are parted by one character, such as a comma, not by “%(mark)s”.")


def delimiter_of(text: str) -> str:
    """The mark that parts the first lines into the same number of fields, two or more; a comma if none does."""
    lines = [line for line in text.split("\n")[:50] if line.strip()]
    if lines and (told := re.fullmatch(r"sep=(.)", lines[0].strip(), re.IGNORECASE)):
        return told[1]
    best, best_key = ",", (0.0, 0)
    for mark in DELIMITERS:
        key = _alike(lines, mark)
        best, best_key = (mark, key) if key > best_key else (best, best_key)
    by_blanks = _alike(lines, BLANKS)
    if by_blanks[0] >= 0.9 and by_blanks[1] >= 3 and (by_blanks[0] > best_key[0] or _only_decimals(lines, best)):
        return BLANKS
    return best


def _alike(lines: list[str], mark: str) -> tuple[float, int]:
    """The share of lines that have as many fields as the first one, and how many; (0, 0) where that is one."""
    counts = [len(row_of(line, mark)) for line in lines]
    if not counts or counts[0] < 2:
        return 0.0, 0
    return sum(count == counts[0] for count in counts) / len(counts), counts[0]


def _only_decimals(lines: list[str], mark: str) -> bool:
    """Whether all commas of the file stand between two digits, beside which columns are parted by blanks."""
    return mark == "," and not any(re.search(r"(?<!\d),|,(?!\d)", line) for line in lines)


def in_single_blanks(text: bytes) -> bytes:
    """Lines whose columns are parted by runs of blanks and tabs, with one blank instead of each run."""
    return re.sub(rb"[ \t]+", b" ", text).replace(b"\n ", b"\n").replace(b" \n", b"\n").lstrip(b" ")


def is_delimiter(mark: str) -> bool:
    """Whether it is one character that can stand between columns: no letter, digit, quote or line end."""
    return len(mark) == 1 and mark.isascii() and not mark.isalnum() and mark not in '"\n\r\0'


def row_of(line: str, delimiter: str) -> list[str]:
    """The cells of one record, by the standard library's reader, which takes quotes used in a way of their own."""
    if delimiter == BLANKS:
        line = " ".join(line.split())
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:  # a cell longer than the reader takes
        return line.split(delimiter)
