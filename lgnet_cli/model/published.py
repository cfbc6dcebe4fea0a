"""The names of upstream's checkpoint entries, beside ours. Three files a model: G1 = NetC, G2 = NetL, G3 = NetG."""

from .lgnet import ATTENTION_LEVELS, LEVELS, RESIDUAL_BLOCKS


def module_names() -> dict[str, dict[str, str]]:
    """For each published file, {upstream's module: our module}; the entries below a module have the same names."""
    return {"G1": _nested_unet(), "G2": _local(), "G3": _flat_unet()}


def _nested_unet() -> dict[str, str]:
    """NetC: every level is a Sequential inside the one around it, so an entry's position depends on its level."""
    names = {}
    prefix = "model.model"
    for level in range(1, LEVELS + 1):
        outermost, innermost = level == 1, level == LEVELS
        up = 3 if outermost or innermost else 5
        names[f"{prefix}.{0 if outermost else 1}"] = f"coarse.down.{level - 1}.conv"
        names[f"{prefix}.{up}"] = f"coarse.up.{level - 1}.conv"
        if not outermost:
            names[f"{prefix}.{up + 1}"] = f"coarse.up.{level - 1}.norm"
            if not innermost:
                names[f"{prefix}.2"] = f"coarse.down.{level - 1}.norm"
        prefix += f".{1 if outermost else 3}.model"
    return names


def _flat_unet() -> dict[str, str]:
    """NetG: model1 ... model8 go down (model8 also comes up one level), model9 ... model15 come up."""
    names = {"model8.3": "global_.up.7.conv", "model8.4": "global_.up.7.norm", "model1.0": "global_.down.0.conv"}
    for level in range(2, LEVELS + 1):
        names[f"model{level}.1"] = f"global_.down.{level - 1}.conv"
        if level < LEVELS:
            names[f"model{level}.2"] = f"global_.down.{level - 1}.norm"
    for level in range(1, LEVELS):
        names[f"model{16 - level}.1"] = f"global_.up.{level - 1}.conv"
        if level > 1:
            names[f"model{16 - level}.2"] = f"global_.up.{level - 1}.norm"
    for level in ATTENTION_LEVELS:  # upstream names them after the side they see: 16, 32, 64
        names[f"att_{2 ** (9 - level)}.combiner"] = f"global_.attention.{level}.combine"
    return names


def _local() -> dict[str, str]:
    """NetL: one Sequential as ours, but upstream's padding layers and activations count too."""
    names = {"model.21": "local.19"}
    for ours in (0, 1, 3, 4, 6, 7, 13, 14, 16, 17):
        names[f"model.{ours + 1}"] = f"local.{ours}"
    for block in range(9, 9 + RESIDUAL_BLOCKS):
        for theirs, name in ((1, "conv1"), (2, "norm1"), (5, "conv2"), (6, "norm2")):
            names[f"model.{block + 1}.conv_block.{theirs}"] = f"local.{block}.{name}"
    return names
