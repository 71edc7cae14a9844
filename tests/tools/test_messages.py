"""Sentences are found wherever people read them from."""

from pathlib import Path

import messages


def test_sentences_of_a_template() -> None:
    text = """
    {% trans %}  In plain
       words {% endtrans %}{{ _("By call") }} {{ "A label"|label }} {{ name|label }}
    {% trans count=n %}{{ count }} station{% pluralize %}{{ count }} stations{% endtrans %}
    {% trans %}100% of it{% endtrans %}
    """
    assert set(messages.in_template(text)) == {
        "In plain words",
        "By call",
        "A label",
        ("%(count)s station", "%(count)s stations"),
        "100%% of it",
    }


def test_sentences_of_a_module() -> None:
    text = """
TITLES = {404: "There is nothing here"}
OTHER = {404: "not for people"}
translations.gettext(locale, "Good morning")
translations.ngettext(locale, "one", "many", n)
translations.gettext(locale, variable)
Page(title="Air", path="/air")
"""
    core = {"There is nothing here", "Good morning", ("one", "many")}
    assert set(messages.in_python(text, declarations=False)) == core
    assert set(messages.in_python(text, declarations=True)) == core | {"Air"}


def test_the_sentence_of_an_error_is_its_docstring_at_any_depth() -> None:
    modules = {
        Path(
            "a.py"
        ): 'class Full(Conflict):\n    """It is full."""\n\nclass Not(Thing):\n    """No error."""',
        Path("b.py"): 'class Fuller(a.Full):\n    """{x} is fuller.\n\n    More."""',
    }
    assert [sentence for _, sentence in messages.error_sentences(modules)] == [
        "It is full.",
        "{x} is fuller.",
    ]
