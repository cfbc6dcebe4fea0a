"""Tables once, written as Markdown, LaTeX and HTML: text is plain until one of the three escapes it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from lgnet_cli.escape import to_html, to_latex, to_markdown

WIDE = 9
"""Columns from which on a table of the page scrolls by itself."""

WIDE_IN_PRINT = 7
"""Columns from which on a LaTeX table is shrunk to the width of the text."""


@dataclass(frozen=True)
class Cell:
    """One value."""

    text: str
    best: bool = False  # in bold
    hint: str = ""  # more about it, where the format can hold it


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    label: str
    cells: list[Cell]
    apart: bool = False  # set off from the others: published, or a baseline
    why: str = ""  # in place of the cells, where there are none


@dataclass(frozen=True)
class Block:
    """One table."""

    title: str
    head: list[str]  # above the labels, and above each cell
    rows: list[Row]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Document:
    """A report's text and tables."""

    title: str
    lead: str
    facts: dict[str, str]  # what was run, where, with what
    blocks: list[Block]
    definitions: dict[str, str]  # column: what it means


def markdown(document: Document) -> str:
    """The document as GitHub's Markdown."""
    parts = [f"# {to_markdown(document.title)}", to_markdown(document.lead)]
    parts.append("\n".join(f"- {to_markdown(key)}: {to_markdown(text)}" for key, text in document.facts.items()))
    for block in document.blocks:
        parts += [f"## {to_markdown(block.title)}", _markdown_table(block), *map(to_markdown, block.notes)]
    parts += ["## Definitions", "\n".join(f"- {to_markdown(k)}: {to_markdown(v)}" for k, v in _defined(document))]
    return "\n\n".join(part for part in parts if part) + "\n"


def latex(document: Document) -> str:
    """The tables as LaTeX for `\\input`, with the packages booktabs and graphicx; T1 encoding for every sign."""
    head = f"% {to_latex(document.title)}. \\usepackage{{booktabs,graphicx}} \\usepackage[T1]{{fontenc}}\n"
    facts = "".join(f"% {to_latex(key)}: {to_latex(text)}\n" for key, text in document.facts.items())
    return head + facts + "\n".join(_latex_table(block) for block in document.blocks)


def html(document: Document) -> dict[str, str]:
    """The document as sections for `gallery.page`: {heading: HTML}."""
    facts = "".join(f"<dt>{to_html(key)}</dt><dd>{to_html(text)}</dd>" for key, text in document.facts.items())
    defined = "".join(f"<dt>{to_html(key)}</dt><dd>{to_html(text)}</dd>" for key, text in _defined(document))
    return {
        "What was run": f'<dl class="block">{facts}</dl>',
        "Tables": "".join(_html_table(block) for block in document.blocks),
        "Definitions": f'<dl class="block">{defined}</dl>',
    }


def _defined(document: Document) -> list[tuple[str, str]]:
    return list(document.definitions.items())


def _markdown_table(block: Block) -> str:
    lines = [_line(block.head, to_markdown), "|---" + "|---:" * (len(block.head) - 1) + "|"]
    for row in block.rows:
        cells = [f"**{to_markdown(c.text)}**" if c.best else to_markdown(c.text) for c in row.cells]
        cells = cells or [to_markdown(row.why), *[""] * (len(block.head) - 2)]
        lines.append("| " + " | ".join([to_markdown(row.label), *cells]) + " |")
    return "\n".join(lines)


def _line(texts: list[str], escape: Callable[[str], str]) -> str:
    return "| " + " | ".join(map(escape, texts)) + " |"


def _latex_table(block: Block) -> str:
    wide = len(block.head) >= WIDE_IN_PRINT
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{to_latex(' '.join([block.title + '.', *block.notes]))}}}"]
    lines += [r"\resizebox{\linewidth}{!}{%"] if wide else []
    lines += [rf"\begin{{tabular}}{{l{'r' * (len(block.head) - 1)}}}", r"\toprule"]
    lines += [" & ".join(map(to_latex, block.head)) + r" \\", r"\midrule"]
    for row in block.rows:
        cells = [rf"\textbf{{{to_latex(c.text)}}}" if c.best else to_latex(c.text) for c in row.cells]
        cells = cells or [rf"\multicolumn{{{len(block.head) - 1}}}{{l}}{{{to_latex(row.why)}}}"]
        lines.append(" & ".join([to_latex(row.label), *cells]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}" + ("}" if wide else ""), r"\end{table}", ""]
    return "\n".join(lines)


def _html_table(block: Block) -> str:
    head = "".join(f'<th scope="col">{to_html(text)}</th>' for text in block.head)
    notes = "".join(f'<p class="note">{to_html(note)}</p>' for note in block.notes)
    rows = "".join(_html_row(row, len(block.head) - 1) for row in block.rows)
    wide = ' class="wide"' if len(block.head) >= WIDE else ""
    table = f"<table{wide}><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="block"><h3>{to_html(block.title)}</h3>{_scrolling(table)}{notes}</div>'


def _scrolling(table: str) -> str:
    """A table that is wider than the page moves by itself, by keys too."""
    return f'<div class="scroll" tabindex="0">{table}</div>'


def _html_row(row: Row, columns: int) -> str:
    cells = "".join(_html_cell(cell) for cell in row.cells)
    cells = cells or f'<td class="why" colspan="{columns}">{to_html(row.why)}</td>'
    apart = ' class="apart"' if row.apart else ""
    return f'<tr{apart}><th scope="row">{to_html(row.label)}</th>{cells}</tr>'


def _html_cell(cell: Cell) -> str:
    text = f"<strong>{to_html(cell.text)}</strong>" if cell.best else to_html(cell.text)
    return f'<td title="{to_html(cell.hint)}">{text}</td>' if cell.hint else f"<td>{text}</td>"
