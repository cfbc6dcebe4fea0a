"""Refinement: what makes the network's small, smooth fill look like a part of the photo, at the photo's own size.

`membrane` carries colours over holes, `tone` brings the network's fill to the tone of the hole's border, `plain` fills
holes in plain surroundings, `exemplar` copies texture from around a hole, and `holes` applies the last two to a photo.
Everything here works on arrays alone: NumPy and OpenCV, no files, no engine.
"""

from typing import Literal

Refine = Literal["texture", "tone", "none"]
"""How a fill is refined: `none` is the network as the paper has it, `tone` adds membranes, `texture` adds copies."""
