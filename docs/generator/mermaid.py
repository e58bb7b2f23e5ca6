"""Diagrams written as mermaid become pictures when the pages are built: no script runs in a reader's browser."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import mermaidx
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Mermaid(SphinxDirective):
    """A diagram; its text stays as the picture's description."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the picture."""
        source = "\n".join(self.content)
        name = f"diagram-{hashlib.sha256(source.encode()).hexdigest()[:16]}.svg"
        folder = Path(self.env.srcdir) / "diagrams"
        folder.mkdir(exist_ok=True)
        if not (folder / name).exists():
            mermaidx.render(source).save(str(folder / name))
        return [nodes.image(uri=f"/diagrams/{name}", alt=source, classes=["mermaid"])]


def setup(app: Sphinx) -> dict[str, Any]:
    """Make the directive known to Sphinx."""
    app.add_directive("mermaid", Mermaid)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
