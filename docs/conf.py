"""Sphinx's settings: `make docs` builds the site into build/docs."""

import sys
from pathlib import Path

from memspan import __version__

DOCS = Path(__file__).parent
BUILD = DOCS.parent / "build"
sys.path.insert(0, str(DOCS / "_ext"))

project = "memspan"
author = "The memspan developers"
version = release = __version__

extensions = ["myst_nb", "sphinx_design", "mathml", "outside", "reference", "docstrings", "run"]
exclude_patterns = ["_ext", "reference/*/_*.md"]
nitpicky = True
nitpick_ignore = [("py:obj", "memspan.testing.report.T")]  # a type variable
highlight_language = "text"
smartquotes = False  # "--" is the beginning of an option

autodoc_typehints = "none"  # the docstrings say types and shapes
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
default_role = "maybe"  # of docstrings/
napoleon_use_param = napoleon_use_rtype = False  # types are words
napoleon_custom_sections = [("Attributes", "params_style")]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4

nb_execution_mode = "cache"
nb_execution_cache_path = str(BUILD / "docs-cache")
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_execution_in_temp = True
nb_merge_streams = True
nb_ipywidgets_js = {}  # no script from elsewhere

html_title = "memspan"
html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_css_files = ["memspan.css"]
html_copy_source = False
html_show_sourcelink = False
html_context = {"default_mode": "auto"}
html_theme_options = {
    "navbar_align": "left",
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": False,
}
copyright = author
