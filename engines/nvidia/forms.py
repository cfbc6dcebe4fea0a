"""How attention stands in a half-precision graph, and which form a builder takes. Needs no PyTorch."""

from typing import Literal

Form = Literal["fused", "products", "float"]
"""As one `Attention` operator in half, which a kernel computes whole or the build fails; as two matrix products and a
softmax in half, for builders whose parser does not know that operator (TensorRT-RTX 1.7 recognises the pattern in most
graphs and fuses it, and says nothing where it does not); or in float32, which nothing fuses."""

SAID: dict[Form, str] = {
    "fused": "one operator in half, which a kernel computes whole",
    "products": "two products in half, which the builder may take for one",
    "float": "in float32, which no kernel computes whole",
}

KNOWS_ATTENTION = (10, 14)
"""The first TensorRT whose parser has the operator."""


def form_of(metadata: dict[str, str]) -> Form:
    """What a graph says of itself; float32 where it says nothing."""
    forms: dict[str, Form] = {form: form for form in SAID}
    return forms.get(metadata.get("lgnet.attention", ""), "float")


def knows_attention(version: str) -> bool:
    """Whether TensorRT of that version, such as "10.13.3.9", parses the operator `Attention`."""
    numbers = [int(part) for part in version.split(".")[:2] if part.isdecimal()]
    return tuple(numbers) >= KNOWS_ATTENTION
