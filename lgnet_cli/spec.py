"""The contract between the network, its engines and the batch, in constants. Imports nothing."""

SIZE_MULTIPLE = 256
"""Pixels. Two stages halve the size eight times (2**8), so a network's height and width are multiples of this."""

DEFAULT_SIZE = 256
"""Pixels. The side the network was trained at, and of the crops the batch fills."""

HOLE = 255
"""A mask pixel to fill, as files hold it and as engines get it. Engines take 128 and above."""

DRAWN = 1
"""A mask pixel that is known to the network, and that an engine returns as the network draws it all the same. Around a
hole it shows by how much the network misses the photo. Engines take 1 to 127."""

IMAGE = "image"
"""Graph input: (N, H, W, 3) uint8 RGB."""

MASK = "mask"
"""Graph input: (N, H, W) uint8: HOLE, DRAWN, or 0 = known."""

FILLED = "filled"
"""Graph output: (N, H, W, 3) uint8 RGB; where the mask is 0 it equals `image` bit for bit."""
