"""`manage.py check_templates` finds what a translator would not."""

import pytest

from marketplace.management.commands.check_templates import unextractable, unmarked


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("<p>Hello there</p>", ["Hello there"]),
        ('<p>{% translate "Hello there" %}</p>', []),
        ("{% blocktranslate %}Hello {{ name }}{% endblocktranslate %}, you", [", you"]),
        ('<a title="Some {{ x }} thing" class="btn large">{{ x }}</a>', ["Some thing"]),
        ('<a {% if x %}aria-label="Close"{% endif %}></a>', ["Close"]),
        ('<input type="submit" value="Send">', ["Send"]),
        ('<input type="hidden" value="Send">', []),
        ('<span translate="no">Acme <b>Works</b></span><p>after</p>', ["after"]),
        ("<code>manage.py clock</code><svg><title>Bars</title></svg>", []),
        ("<p>UTC · SHA-256 · {{ at }} &nbsp;</p>", []),
        ("{% block body_class %}wide dark{% endblock %}{% block content %}Bare{% endblock %}", ["Bare"]),
        ('{% include "_empty.html" with title="Your bids" %}', ["Your bids"]),
        ('{% include "_empty.html" with title=_("Your bids") %}', []),
        ('{{ note|default:"None yet" }}{{ note|default:"-" }}', ["None yet"]),
        ('{# translate="no": for developers #}<p>Bare</p>', []),
        ("{% comment %}Not for people{% endcomment %}{# nor this #}", []),
    ],
)
def test_unmarked_finds_every_text_a_person_reads(template: str, found: list[str]) -> None:
    assert [text for _line, text in unmarked(template)] == found


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ('_("whole")', []),
        ("_(label)", []),
        ('_(f"in {parts}")', [1]),
        ('\n_("a" + b)', [2]),
        ('_("%s left" % n)', [1]),
        ('gettext_lazy("{} left".format(n))', [1]),
        ('_("{n} left").format(n=n)', []),
    ],
)
def test_unextractable_finds_strings_put_together(code: str, found: list[int]) -> None:
    assert [line for line, _text in unextractable(code)] == found
