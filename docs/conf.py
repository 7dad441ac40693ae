"""The site of these pages: `make docs` builds it, once in English and once in Chinese, to be read without a network.

GitHub shows the same files. What differs is done here: README becomes the first page, links to the other language and
to source files lead to pages of the site, and formulas become MathML, which browsers draw themselves.
"""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx.application import Sphinx
from sphinx.config import Config

ROOT = Path(__file__).parents[1]
CHINESE = ".zh-CN"
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s:]+)\)")

project, author, copyright = "fashion-softmax", "the authors of fashion-softmax", "MIT licence"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
html_theme, html_title, html_show_sphinx, html_copy_source = "furo", "fashion-softmax", False, False
html_math_renderer, highlight_language = "mathml", "none"
html_static_path, html_css_files = ["site.css"], ["site.css"]
autodoc_member_order, autodoc_typehints, default_role = "bysource", "description", "code"

sources: set[str] = set()  # files of the project that pages point at


def choose_language(app: Sphinx, config: Config) -> None:
    """Leave out the pages of the other language."""
    is_chinese = config.language.startswith("zh")
    pages = Path(__file__).parent.glob("*.md")
    config.exclude_patterns += [page.name for page in pages if (CHINESE in page.name) != is_chinese]
    config.root_doc = f"index{CHINESE}" if is_chinese else "index"


def prepare(app: Sphinx, name: str, content: list[str]) -> None:
    """Put README in front of the first page, and let links lead to pages of the site."""
    is_chinese = name.endswith(CHINESE)
    if name == app.config.root_doc:
        readme = ROOT / f"README{CHINESE if is_chinese else ''}.md"
        text = readme.read_text(encoding="utf-8")
        text = re.sub(r"\]\((?!docs/|[a-z]+:|#)", "](../", text).replace("](docs/", "](")
        content[0] = f"{text}\n{content[0]}"

    def lead(found: re.Match[str]) -> str:
        words, (path, _, anchor) = found[1], found[2].partition("#")
        if path.startswith("../README"):
            path = f"index{CHINESE}.md" if CHINESE in path else "index.md"
        elif path.startswith("../"):
            sources.add(path.removeprefix("../"))
            words = re.sub(r"`([^`]+)`", r"<code>\1</code>", words)
            return f'<a href="code/{path.removeprefix("../")}.html{anchor and f"#L-{anchor[1:]}"}">{words}</a>'
        if path.endswith(".md") and (CHINESE in path) != is_chinese:
            folder = "../" if is_chinese else f"{CHINESE[1:]}/"
            return f'<a href="{folder}{path.removesuffix(".md")}.html">{words}</a>'
        return f"[{words}]({path}{anchor and f'#{anchor}'})"

    content[0] = LINK.sub(lead, content[0])


def escape_docstring(app: Sphinx, kind: str, name: str, thing: object, options: Any, lines: list[str]) -> None:
    """Keep the star in shapes such as `(*R, B, K)` from beginning an emphasis."""
    lines[:] = [line.replace("(*", r"(\*") for line in lines]


def write_sources(app: Sphinx, error: Exception | None) -> None:
    """Write a page of each file that is pointed at, its lines numbered."""
    for name in () if error else sorted(sources):
        text = (ROOT / name).read_text(encoding="utf-8")
        try:
            lexer: Any = get_lexer_for_filename(name)
        except ClassNotFound:
            lexer = TextLexer()
        page = Path(app.outdir, "code", f"{name}.html")
        page.parent.mkdir(parents=True, exist_ok=True)
        look = HtmlFormatter(full=True, title=name, linenos="inline", lineanchors="L", wrapcode=True)
        page.write_text(highlight(text, lexer, look), encoding="utf-8")


def draw_inline(self: Any, node: nodes.math) -> None:
    """Write a formula in a line of text as MathML."""
    self.body.append(convert(node.astext()))
    raise nodes.SkipNode


def draw_block(self: Any, node: nodes.math_block) -> None:
    """Write a formula in a line of its own as MathML."""
    self.body.append(f'<div class="math">{convert(node.astext(), display="block")}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Tell Sphinx of all this."""
    app.connect("config-inited", choose_language)
    app.connect("source-read", prepare)
    app.connect("autodoc-process-docstring", escape_docstring)
    app.connect("build-finished", write_sources)
    app.add_html_math_renderer("mathml", (draw_inline, None), (draw_block, None))
