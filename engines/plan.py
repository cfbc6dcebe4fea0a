"""A plan's sidecar: `<plan>.json`, which says what the plan is, and is read before a byte of the plan is run.

The plan itself stays pure, so that trtexec and Polygraphy read it. A plan is code, so only one whose hash is that of
its sidecar is deserialised, unless its owner vouches for it.
"""

import hashlib
import json
import platform
import shlex
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from lgnet_cli.atomic import replacing
from lgnet_cli.errors import ModelError
from lgnet_cli.weights import DEFAULT_WEIGHTS
from lgnet_cli.weights.header import sha256

from .libraries import CAPABILITIES, TENSORRT, TENSORRT_RTX, TORCH_TENSORRT
from .nvidia.forms import Form
from .nvidia.profile import Profile

Precision = Literal["fp32", "fp16"]

FORMAT = "lgnet-plan-2"

MAX_SIDECAR = 1 << 16
"""Bytes. Ours are one kilobyte; more is no sidecar of ours and is not read."""

EXPECTED_HALF_SHARE = 0.6
"""Of the floating-point tensors of a half-precision network. lgnet's own has 188 of 247 in half (0.76), the rest being
what attention's normalising takes; with all of attention in float32 155 of 226 (0.69). A float32 graph has 0."""

LONGEST = 256
"""Characters of a sidecar's texts, which are printed."""


@dataclass(frozen=True)
class Sidecar:
    """All that is known of a plan without running it."""

    plan_sha256: str
    plan_bytes: int
    flavour: str  # tensorrt, tensorrt-rtx or torch-tensorrt
    version: str  # of it; a plan runs on no other
    platform: str  # operating system and processor; likewise
    compute_capabilities: list[str]  # of the GPUs it runs on, such as "8.9"
    gpu: str  # that it was built on, "" ahead of time
    cuda: str  # driver's version there, "" ahead of time
    portable: bool  # whether it was built for all GPUs of that capability
    batch: list[int]  # least, best, most
    side: list[int]  # likewise, in pixels
    tensors: dict[str, str]  # name: type, at the border
    precision: str  # fp32 or fp16
    half_tensors: int  # in the network as it was parsed
    float_tensors: int
    attention: str  # how it stands in the network: fused, products or float
    fused_kernels: int  # for attention, found in the plan by their name
    onnx_sha256: str
    weights: str  # the file's name, without its folder
    weights_sha256: str
    lgnet: str  # version that built it

    @property
    def profile(self) -> Profile:
        return Profile(_three(self.batch), _three(self.side))

    def rebuild(self, plan: Path) -> str:
        """The command that makes the plan anew."""
        return self.rebuild_for(self.flavour, [name.replace(".", "") for name in self.compute_capabilities], plan)

    def rebuild_for(self, flavour: str, capabilities: list[str], plan: Path) -> str:
        """Likewise, by another builder or for other GPUs."""
        ours = self.weights_sha256 == sha256(DEFAULT_WEIGHTS)
        weights = "" if ours else f" {shlex.quote(self.weights) if self.weights else 'WEIGHTS'}"
        named = f" --sm {','.join(capabilities)}" if flavour == TENSORRT_RTX else ""
        named += " --portable" if self.portable else ""
        named += " --attention float" if (self.precision, self.attention) == ("fp16", "float") else ""
        return (
            f"lgnet build-engine{weights} --{self.precision} --backend {flavour} --batch "
            f"{','.join(map(str, self.batch))} --size {self.profile.sizes}{named} -o {shlex.quote(str(plan))}"
        )


def sidecar_of(plan: Path) -> Path:
    return plan.with_name(f"{plan.name}.json")


def here() -> str:
    """Operating system and processor, such as linux-x86_64."""
    return f"{platform.system().lower()}-{platform.machine().lower()}"


def write_plan(path: Path, data: bytes | memoryview, sidecar: Sidecar) -> None:
    """Write plan and sidecar, each whole or not at all.

    Both are on the disk before either gets its name, and the sidecar gets it first: a plan that is there has its
    sidecar. A crash between the two leaves the old plan beside the new sidecar, whose hashes differ, and `check_file`
    says so. Raises OSError.
    """
    with replacing(path) as temporary, replacing(sidecar_of(path)) as described:  # left in reverse order
        temporary.write_bytes(data)
        described.write_text(json.dumps({"format": FORMAT, **asdict(sidecar)}, indent=2) + "\n")


def read_sidecar(plan: Path) -> Sidecar:
    """Raises ModelError: the plan or its sidecar is missing, or is no sidecar of lgnet's."""
    if not plan.is_file():
        raise ModelError(f"{plan}: no such file", mend=f"make it with: lgnet build-engine -o {plan}")
    path = sidecar_of(plan)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_SIDECAR + 1)
    except OSError as error:
        raise ModelError(
            f"{plan}: its sidecar {path.name} cannot be read ({error.strerror}). A plan is code, and lgnet runs only "
            "one whose hash is written there",
            mend=f"copy the sidecar beside it, build it anew (lgnet build-engine WEIGHTS -o {plan}), or, if it is "
            "yours, add --trust-engine",
        ) from error
    return _parsed(path, raw)


def check_file(plan: Path, sidecar: Sidecar) -> None:
    """Raises ModelError where the plan is not the one the sidecar tells of: cut off, edited, or of another build."""
    _check_size(plan, sidecar)
    if sha256(plan) != sidecar.plan_sha256:
        raise _edited(plan, sidecar)


def read_checked(plan: Path, sidecar: Sidecar) -> bytes:
    """The plan's bytes, which are those that were checked. Raises as `check_file`."""
    _check_size(plan, sidecar)
    data = plan.read_bytes()
    if hashlib.sha256(data).hexdigest() != sidecar.plan_sha256:
        raise _edited(plan, sidecar)
    return data


def _check_size(plan: Path, sidecar: Sidecar) -> None:
    size = plan.stat().st_size
    if size < sidecar.plan_bytes:
        raise ModelError(
            f"{plan}: cut off: {size:,} of {sidecar.plan_bytes:,} bytes",
            mend=f"copy it again, or build it anew: {sidecar.rebuild(plan)}",
        )
    if size > sidecar.plan_bytes:
        raise _edited(plan, sidecar)


def _edited(plan: Path, sidecar: Sidecar) -> ModelError:
    return ModelError(
        f"{plan}: its SHA-256 is not the one in {sidecar_of(plan).name}: it was edited or belongs to another build",
        mend=f"build it anew: {sidecar.rebuild(plan)}",
    )


def check_precision(plan: Path, sidecar: Sidecar) -> None:
    """Raises ModelError where a plan is called fp16 and its network was not."""
    floating = sidecar.half_tensors + sidecar.float_tensors
    if sidecar.precision == "fp16" and sidecar.half_tensors < EXPECTED_HALF_SHARE * floating:
        raise ModelError(
            f"{plan}: called fp16, but {sidecar.half_tensors} of {floating} floating-point tensors are in half: "
            "it would run at float32's speed",
            mend=f"build it anew: {sidecar.rebuild(plan)}",
        )


def check_version(plan: Path, sidecar: Sidecar, version: str) -> None:
    """Raises ModelError where the plan was built by another version, or for another operating system."""
    if sidecar.version != version:
        raise ModelError(
            f"{plan}: built by {sidecar.flavour} {sidecar.version}; here is {version}, and plans run on their own",
            mend=f"build it anew: {sidecar.rebuild(plan)}",
        )
    if sidecar.platform != here():
        raise ModelError(
            f"{plan}: built on {sidecar.platform}, which this {here()} cannot run",
            mend=f"build it anew here: {sidecar.rebuild(plan)}",
        )


def check_gpu(plan: Path, sidecar: Sidecar, name: str, capability: str) -> None:
    """Raises ModelError where the plan was built for GPUs of other compute capabilities than `capability`."""
    if capability not in sidecar.compute_capabilities:
        built = f"for {', '.join(sidecar.compute_capabilities)}" + (f" (on {sidecar.gpu})" if sidecar.gpu else "")
        number = capability.replace(".", "")
        ahead = sidecar.flavour == TENSORRT_RTX and number in CAPABILITIES
        flavour = TENSORRT if sidecar.flavour == TENSORRT_RTX and not ahead else sidecar.flavour
        raise ModelError(
            f"{plan}: built for other GPUs: {built}; here is {capability} ({name})",
            mend=f"build it anew: {sidecar.rebuild_for(flavour, [number], plan)}",
        )


def check_model(plan: Path, sidecar: Sidecar, name: str) -> None:
    """Raises ModelError where TensorRT built the plan on another model of GPU than `name`, for that alone.

    TensorRT loads such a plan with a warning that it may be slow or fail.
    """
    if sidecar.flavour == TENSORRT and sidecar.gpu not in ("", name) and not sidecar.portable:
        raise ModelError(
            f"{plan}: built on a {sidecar.gpu}, for that model of GPU alone; here is a {name}",
            mend=f"build it anew here: {sidecar.rebuild(plan)}; or, there, with --portable for both; or run it all the "
            "same with --trust-engine",
        )


def _parsed(path: Path, raw: bytes) -> Sidecar:
    """Every field there and of its type: the file may come from anywhere."""
    mend = "build the plan anew: lgnet build-engine WEIGHTS"
    try:
        entries: Any = json.loads(raw) if len(raw) <= MAX_SIDECAR else None
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not JSON", mend=mend) from error
    if not isinstance(entries, dict) or entries.get("format") != FORMAT:
        raise ModelError(f"{path}: not a sidecar of lgnet's ({FORMAT})", mend=mend)
    wrong = [field.name for field in fields(Sidecar) if not _fits(field.name, entries.get(field.name))]
    if wrong:
        raise ModelError(f"{path}: missing or of the wrong kind: {', '.join(wrong)}", mend=mend)
    return Sidecar(**{field.name: entries[field.name] for field in fields(Sidecar)})


def _fits(name: str, value: object) -> bool:
    if name in ("plan_bytes", "half_tensors", "float_tensors", "fused_kernels"):
        return type(value) is int and value >= 0
    if name in ("batch", "side"):
        return isinstance(value, list) and len(value) == 3 and all(type(v) is int and v > 0 for v in value)
    if name == "compute_capabilities":
        return isinstance(value, list) and all(map(_is_text, value))
    if name == "tensors":
        return isinstance(value, dict) and all(map(_is_text, [*value, *value.values()]))
    if name == "portable":
        return isinstance(value, bool)
    if name == "attention":
        return value in get_args(Form)
    if name == "precision":
        return value in get_args(Precision)
    if name == "flavour":
        return value in (TENSORRT, TENSORRT_RTX, TORCH_TENSORRT)
    return _is_text(value)


def _is_text(value: object) -> bool:
    """Nothing that a terminal would obey."""
    return isinstance(value, str) and len(value) <= LONGEST and value.isprintable()


def _three(values: list[int]) -> tuple[int, int, int]:
    least, best, most = values
    return least, best, most
