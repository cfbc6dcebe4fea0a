"""Text of others (file names above all) made safe for where it is shown: a terminal, HTML, Markdown, LaTeX."""

import html

_MARKDOWN = "\\`*_[]<>#|~$&"
"""What starts markup inside a line, or ends a table cell."""

_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}",
}  # fmt: skip


def printable(text: str) -> str:
    """`text` in one line: bytes that are no Unicode, newlines, control and direction characters as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def to_html(text: str) -> str:
    """`text` for HTML, between tags or in a quoted attribute."""
    return html.escape(printable(text), quote=True)


def to_markdown(text: str) -> str:
    """`text` for a Markdown paragraph or table cell, none of it read as markup."""
    return "".join(f"\\{c}" if c in _MARKDOWN else c for c in printable(text))


def to_latex(text: str) -> str:
    """`text` for LaTeX, none of it read as a command."""
    return "".join(_LATEX.get(c, c) for c in printable(text))
