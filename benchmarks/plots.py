"""Curves by hole ratio, as SVG pictures for light and dark pages. Needs the `bench` extra (matplotlib)."""

import base64
import io
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from lgnet_cli.escape import printable, to_html

LIGHT = {"ground": "#ffffff", "ink": "#1d1f21", "rule": "#d4d6d8"}
DARK = {"ground": "#1d2024", "ink": "#e6e7e8", "rule": "#3f454c"}

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c")
"""Okabe and Ito's, told apart also by those who see fewer colours, readable on both grounds."""

MARKERS = "osD^vP*X"

SHIFT = 0.04
"""Of one curve beside the next, in buckets: error bars stand side by side."""

NAN = float("nan")


@dataclass(frozen=True)
class Curve:
    """One method's line."""

    name: str
    means: list[float | None]  # one a bucket; None where there is none
    low: list[float | None]  # bounds of the confidence interval
    high: list[float | None]
    dashed: bool  # published
    style: int  # which colour and marker: the same for a method in every figure


def figure(title: str, buckets: list[str], curves: list[Curve]) -> str:
    """An HTML figure that follows the page's light or dark.

    Args:
        title: of the vertical axis, and with the methods' names what a screen reader says.
        buckets: names of the points on the horizontal axis.
        curves: what to draw, in the order of the legend.
    """
    light, dark = (_svg(title, buckets, curves, colours) for colours in (LIGHT, DARK))
    words = (
        f"{title} by hole ratio, a curve for each of {', '.join(c.name for c in curves)}; the numbers are in the tables"
    )
    source = f'<source media="(prefers-color-scheme: dark)" srcset="{dark}">'
    return f'<figure><picture>{source}<img src="{light}" alt="{to_html(words)}"></picture></figure>'


def _svg(title: str, buckets: list[str], curves: list[Curve], colours: dict[str, str]) -> str:
    style = {"svg.fonttype": "path", "svg.hashsalt": "lgnet", "font.size": 10, "axes.edgecolor": colours["rule"],
             "axes.labelcolor": colours["ink"], "text.color": colours["ink"], "xtick.color": colours["ink"],
             "ytick.color": colours["ink"], "xtick.labelcolor": colours["ink"], "text.parse_math": False}  # fmt: skip
    with mpl.rc_context(style):
        drawing = Figure(figsize=(5.4, 3.9), facecolor=colours["ground"], layout="constrained")
        axes = drawing.add_subplot(facecolor=colours["ground"])
        for number, curve in enumerate(curves):
            _draw(axes, curve, SHIFT * (number - (len(curves) - 1) / 2))
        axes.set_xticks(range(len(buckets)), buckets)
        axes.set_xlabel("hole ratio, %")
        axes.set_title(printable(title), fontsize=11)
        axes.grid(color=colours["rule"], linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        drawing.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8.5, handlelength=2.6)
        written = io.BytesIO()
        drawing.savefig(written, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(written.getvalue()).decode()


def _draw(axes: Any, curve: Curve, shift: float) -> None:
    colour, marker = COLOURS[curve.style % len(COLOURS)], MARKERS[curve.style % len(MARKERS)]
    style = {"linestyle": "--", "markerfacecolor": "none"} if curve.dashed else {"linestyle": "-"}
    x = [bucket + shift for bucket in range(len(curve.means))]
    mean, low, high = ([NAN if v is None else v for v in line] for line in (curve.means, curve.low, curve.high))
    reach = [[m - v for m, v in zip(mean, low, strict=True)], [v - m for m, v in zip(mean, high, strict=True)]]
    label = printable(curve.name).lstrip("_") or "?"  # matplotlib keeps names with a leading _ out of the legend
    axes.errorbar(x, mean, [[max(v, 0.0) for v in side] for side in reach], color=colour, marker=marker,
                  markersize=4.5, linewidth=1.6, elinewidth=0.9, capsize=2, label=label, **style)  # fmt: skip
