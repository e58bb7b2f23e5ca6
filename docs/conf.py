"""How Sphinx builds the pages; run by `make docs`, see docs/build.py."""

from __future__ import annotations

import re

from sphinx.application import Sphinx

import hpsearch

project = "hpsearch"
project_copyright = "the hpsearch maintainers, Apache-2.0"
version = release = hpsearch.__version__
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "docs.generator.mermaid"]

# Links to headings work as they do where the repository is shown.
myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"]

# In docstrings, as in Markdown, single backticks are code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True}
add_module_names = False
python_use_unqualified_type_names = True

# Dashes only; quotation marks stay as they were written.
smartquotes_action = "D"

html_theme = "furo"
html_title = f"hpsearch {version}"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["pages.css"]
pygments_style = "default"
pygments_dark_style = "monokai"


def _is_of_scikit_learn(_app: object, _kind: str, name: str, *_rest: object) -> bool | None:
    """Return True for methods that scikit-learn adds to estimators: they are described there."""
    return True if re.fullmatch(r"set_\w+_request", name) else None


def setup(app: Sphinx) -> None:
    """Leave out what is not ours."""
    app.connect("autodoc-skip-member", _is_of_scikit_learn)
