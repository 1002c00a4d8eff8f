"""The extensions of the site, with what `make docs` installs."""

import pytest

pytest.importorskip("sphinx", reason="sphinx is not installed")
pytest.importorskip("latex2mathml", reason="latex2mathml is not installed")

from docstrings import literal_blocks
from outside import lead_to_pages, with_title
from sphinx.application import Sphinx

PAGE = """\
# A page

Inline $a_t$, see {eq}`one`.

$$
\\frac{1}{2} = \\tanh(x)
$$ (one)

```{eval-rst}
.. py:function:: f

A ``name`` that is known is a link, `f(x)`, and `another` is not.
```
"""


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("One.\n\n    a = b\n\nTwo.", "One.\n\n::\n\n    a = b\n\nTwo."),
        ("One.\n\n    a = b\n\n    c\n\nTwo.", "One.\n\n::\n\n    a = b\n\n    c\n\nTwo."),
        ("- one\n  goes on\n\n  of one\n- two", "- one\n  goes on\n\n  of one\n- two"),
        ("x : float\n    The x.", "x : float\n    The x."),
        ("x : float\n    The x:\n\n        y = |x|\n", "x : float\n    The x:\n\n    ::\n\n        y = |x|\n"),
        ("|x| is no substitution", r"\|x\| is no substitution"),
        ("", ""),
    ],
)
def test_an_indented_block_is_set_as_it_is_written(text, marked):
    assert [*literal_blocks(text.split("\n"))] == marked.split("\n")


def test_links_to_results_lead_to_their_pages():
    text = ["[a](../benchmarks/results/engine.md), [b](../benchmarks/engine.py), [c](why.md#results)"]
    lead_to_pages(None, "span", text)
    assert text == ["[a](measurements/engine.md), [b](../benchmarks/engine.py), [c](why.md#results)"]
    deeper = ["[a](../../benchmarks/results/why_x.md#a), [b](../../CHANGELOG.md)"]
    lead_to_pages(None, "reference/cells", deeper)
    assert deeper == ["[a](../measurements/why_x.md#a), [b](../changes.md)"]


def test_a_result_without_a_title_gets_one(tmp_path):
    page = tmp_path / "span_search.md"
    page.write_text("120 searches")
    assert with_title(page) == "# Span search\n\n120 searches"
    page.write_text("# Its own\n")
    assert with_title(page) == "# Its own\n"


@pytest.mark.filterwarnings("ignore")  # of other people's extensions
def test_a_page_has_mathml_and_links_to_known_names_only(tmp_path):
    (tmp_path / "index.md").write_text(PAGE)
    settings = {
        "extensions": ["myst_parser", "mathml", "docstrings"],
        "myst_enable_extensions": ["dollarmath"],
        "default_role": "maybe",
        "nitpicky": True,
    }
    folders = {"srcdir": tmp_path, "confdir": None, "outdir": tmp_path / "out", "doctreedir": tmp_path / "trees"}
    site = Sphinx(**folders, buildername="html", confoverrides=settings, status=None, warning=None)
    site.build()
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert site._warncount == 0
    assert page.count("<math ") == 2
    assert "<mfrac>" in page
    assert "https://" not in page.partition("<body>")[0]
    assert 'href="#equation-one"' in page
    assert 'href="#f"' in page
    assert page.count("another</span></code>") == 1
    assert "another</span></code></a>" not in page
