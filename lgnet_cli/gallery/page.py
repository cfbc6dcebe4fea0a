"""One HTML file that needs nothing else: styles, script and pictures are inside, and its policy forbids requests."""

import base64
import hashlib
import json
import math
from dataclasses import dataclass, field
from importlib.resources import files

from lgnet_cli import __version__
from lgnet_cli.escape import to_html

from .pictures import MAX_SIDE, Album

MAX_LISTED = 500
"""Files named in one table of a page."""


@dataclass(frozen=True)
class Case:
    """One filled picture on the page."""

    name: str  # of the image
    bucket: str  # of hole shares, as the filter lists it
    method: str  # what filled it
    size: tuple[int, int]  # width, height of the picture, pixels
    before: str  # keys of the album, plain ASCII
    after: str
    holes: str
    facts: str  # one line below the picture
    ranks: dict[str, float]  # by key of `Gallery.orders`: the larger, the earlier


@dataclass
class Gallery:
    """Pictures with a slider, the worst first."""

    before: str  # what the left side of every slider is called
    orders: dict[str, str]  # key of `Case.ranks`: how the page's menu calls it; the first is how the page opens
    cases: list[Case] = field(default_factory=list)
    album: Album = field(default_factory=Album)
    left_out: int = 0  # pictures that there were besides


def page(title: str, lead: str, sections: dict[str, str], gallery: Gallery | None) -> str:
    """A whole HTML document.

    Args:
        title: plain text.
        lead: plain text below the title.
        sections: {heading in plain text: HTML that its maker has escaped}.
        gallery: what to show after them, or None.
    """
    style, script = (files(__package__).joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    shown = sections | ({"Gallery": _gallery(gallery)} if gallery else {})
    links = "".join(f'<a href="#{_anchor(name)}">{to_html(name)}</a>' for name in shown)
    nav = f'<nav aria-label="On this page">{links}</nav>' if len(shown) > 1 else ""
    body = "".join(f'<section id="{_anchor(n)}"><h2>{to_html(n)}</h2>{text}</section>' for n, text in shown.items())
    policy = f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="lgnet {__version__}">
<link rel="icon" href="data:,">
<title>{to_html(title)}</title>
<style>{style}</style>
</head>
<body>
<header><h1>{to_html(title)}</h1><p>{to_html(lead)}</p>{nav}</header>
<main>{body}</main>
<footer>Written by lgnet {__version__}. This file holds all it shows and asks the network for nothing.</footer>
<script type="application/json" id="pictures">{_json(gallery.album.pictures if gallery else {})}</script>
<script>{script}</script>
</body>
</html>
"""


def file_table(rows: list[tuple[str, str]]) -> str:
    """HTML of (file, why) pairs, the first MAX_LISTED of them."""
    listed = "".join(f"<tr><td>{to_html(file)}</td><td>{to_html(why)}</td></tr>" for file, why in rows[:MAX_LISTED])
    more = f'<p class="note">And {len(rows) - MAX_LISTED} more.</p>' if len(rows) > MAX_LISTED else ""
    head = "<thead><tr><th>file</th><th>why</th></tr></thead>"
    return f'<div class="block scroll"><table class="left">{head}<tbody>{listed}</tbody></table>{more}</div>'


def _gallery(gallery: Gallery) -> str:
    if not gallery.cases:
        return "<p>There is no picture to show.</p>"
    buckets = sorted({case.bucket for case in gallery.cases}, key=_natural)
    methods = list(dict.fromkeys(case.method for case in gallery.cases))
    menus = _menu("bucket", "Holes", {"": "all", **{b: f"{b} %" for b in buckets}})
    menus += _menu("method", "Method", {"": "all", **{m: m for m in methods}}) if len(methods) > 1 else ""
    menus += _menu("order", "Order", gallery.orders)
    left = f" {gallery.left_out} more are not on this page." if gallery.left_out else ""
    return f"""<p>Drag across a picture, or focus it and use the arrow keys: left of the line is the
{to_html(gallery.before)}, right of it the result. Pictures are shown at most {MAX_SIDE} pixels wide or high,
as JPEG.{left}</p>
<form class="tools">{menus}<label><input type="checkbox" id="holes"> Mark the holes</label>
<output id="count" aria-live="polite"></output></form>
<div id="cases">{"".join(_case(case, gallery) for case in gallery.cases)}</div>
<noscript><p>The pictures need JavaScript.</p></noscript>"""


def _case(case: Case, gallery: Gallery) -> str:
    width, height = case.size
    ranks = {key: value for key, value in case.ranks.items() if math.isfinite(value)}
    label = f"{case.name}, {case.method}: how much of the {gallery.before} is shown, in percent"
    return f"""<figure class="case" data-bucket="{to_html(case.bucket)}" data-method="{to_html(case.method)}"
data-ranks="{to_html(json.dumps(ranks))}"><div class="frame">
<img class="after" alt="" width="{width}" height="{height}" data-picture="{to_html(case.after)}">
<img class="before" alt="" width="{width}" height="{height}" data-picture="{to_html(case.before)}">
<img class="marked" alt="" width="{width}" height="{height}" data-picture="{to_html(case.holes)}" hidden>
<span class="tag left" aria-hidden="true">{to_html(gallery.before)}</span><span class="tag right" aria-hidden="true">
{to_html(case.method)}</span><span class="line" aria-hidden="true"></span>
<input type="range" min="0" max="100" value="50" aria-label="{to_html(label)}"></div>
<figcaption><strong>{to_html(case.name)}</strong><span>{to_html(case.facts)}</span></figcaption></figure>
"""


def _menu(name: str, label: str, options: dict[str, str]) -> str:
    listed = "".join(f'<option value="{to_html(value)}">{to_html(text)}</option>' for value, text in options.items())
    return f'<label>{to_html(label)} <select id="{name}">{listed}</select></label>'


def _natural(bucket: str) -> float:
    """Buckets in the order of their shares: "1-10" before "10-20"."""
    start = bucket.partition("-")[0]
    return float(start) if start.isdecimal() else float("inf")


def _anchor(heading: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in heading.lower())


def _json(value: dict[str, str]) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(value).replace("<", "\\u003c")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
