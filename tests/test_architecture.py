"""Who may import whom; and what `lgnet --help` may load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LEAVES = {"spec", "errors", "places", "atomic", "escape", "ordered", "telemetry"}
MAY_IMPORT = {  # package or module of lgnet_cli: what it may import of the others, besides the leaves
    "spec": set(),
    "errors": set(),
    "places": set(),
    "atomic": set(),
    "escape": set(),
    "ordered": set(),
    "telemetry": set(),
    "device": set(),
    "main": {"batch", "device", "commands", "interruption", "lgnet_cli"},
    "commands": {
        "batch",
        "device",
        "finders",
        "finding",
        "weights",
        "engines",
        "imaging.masks",
        "training",
        "benchmarks",
    },
    "lgnet_cli": {"session"},
    "interruption": set(),
    "lock": set(),
    "__main__": {"main"},
    "checks": {"imaging.formats", "imaging.pairs", "results"},
    "finders": {"imaging"},
    "finding": {"finders", "imaging", "interruption", "lock", "report", "stages"},
    "batch": {
        "finders",
        "finding",
        "checks",
        "pipeline",
        "processes",
        "stages",
        "report",
        "results",
        "lock",
        "interruption",
        "imaging",
        "engines.select",
        "gallery",
        "cluster",
    },
    "cluster": {"crew", "worker", "pipeline", "stages", "report", "imaging.spool", "engines.select"},
    "crew": {"worker", "pipeline", "stages", "report", "imaging.spool"},
    "worker": {
        "lgnet_cli",
        "lock",
        "pipeline",
        "stages",
        "report",
        "imaging.spool",
        "engines.protocol",
        "engines.select",
    },
    "gallery": {"report", "imaging", "lgnet_cli"},
    "pipeline": {"flight", "stages", "threads", "processes", "report", "imaging.spool", "engines.protocol"},
    "flight": {"stages", "engines.protocol"},
    "stages": {"finders", "report", "imaging", "refine", "engines.protocol"},
    "threads": {"stages", "report", "engines.protocol"},
    "processes": {"child", "stages", "report", "imaging.picture", "engines.protocol"},
    "child": {"stages", "report", "imaging", "engines.protocol"},
    "session": {"imaging", "refine", "engines.protocol", "engines.select"},
    "report": {"imaging", "mirror", "results", "journal"},
    "results": {"journal"},
    "journal": set(),
    "mirror": set(),
    "imaging": set(),
    "refine": {"imaging"},
    "model": {"weights.header"},
    "perceptual": {"weights.header"},
    "weights": {"model", "engines.export"},
    "weights.header": set(),
    "engines.protocol": set(),
    "engines.select": {
        "weights",
        "model",
        "engines.protocol",
        "engines.export",
        "engines.cache",
        "engines.kept",
        "engines.machine",
        "engines.plan",
        "engines.tensorrt",
        "engines.torch_tensorrt",
    },
    "engines.kept": set(),
    "engines.windows": {"model"},
    "engines.export": {
        "model",
        "weights.header",
        "engines.nvidia.attention",
        "engines.nvidia.forms",
        "engines.windows",
    },
    "engines.torch": {
        "model",
        "weights.header",
        "engines.nvidia.attention",
        "engines.protocol",
        "engines.export",
        "engines.verify",
        "engines.windows",
    },
    "engines.onnxruntime": {"engines.protocol"},
    "engines.openvino": {"engines.protocol"},
    # TensorRT: what is used of it, what loads it, what a plan is
    "engines.tensorrt_api": set(),
    "engines.libraries": {"engines.tensorrt_api", "engines.nvidia.driver"},
    "engines.machine": {"engines.libraries"},
    "engines.tensorrt_log": {"engines.libraries"},
    "engines.phases": set(),
    "engines.plan": {
        "weights",
        "weights.header",
        "engines.libraries",
        "engines.nvidia.forms",
        "engines.nvidia.profile",
    },
    "engines.nvidia": set(),
    "engines.nvidia.attention": {"model"},
    "engines.nvidia.forms": set(),
    "engines.nvidia.lane": {
        "engines.tensorrt_api",
        "engines.libraries",
        "engines.nvidia.profile",
        "engines.protocol",
        "engines.tensorrt_log",
    },
    "engines.nvidia.profile": set(),
    "engines.nvidia.device": {"engines.libraries"},
    "engines.nvidia.driver": {"engines.libraries"},
    "engines.nvidia.rtx": {"engines.tensorrt_api", "engines.libraries"},
    "engines.nvidia.start": {
        "engines.tensorrt_api",
        "engines.libraries",
        "engines.nvidia.lane",
        "engines.nvidia.profile",
        "engines.nvidia.rtx",
        "engines.tensorrt_log",
    },
    "engines.nvidia.versions": set(),
    "engines.cost": set(),
    "engines.verify": {"engines.nvidia.profile", "engines.protocol"},
    # run time
    "engines.tensorrt": {
        "engines.tensorrt_api",
        "engines.libraries",
        "engines.machine",
        "engines.nvidia.device",
        "engines.nvidia.lane",
        "engines.nvidia.profile",
        "engines.nvidia.rtx",
        "engines.nvidia.start",
        "engines.plan",
        "engines.protocol",
        "engines.tensorrt_log",
    },
    "engines.torch_tensorrt": {
        "model",
        "engines.build",
        "engines.export",
        "engines.libraries",
        "engines.machine",
        "engines.nvidia.attention",
        "engines.nvidia.profile",
        "engines.plan",
        "engines.protocol",
    },
    # building
    "engines.build": {
        "engines.tensorrt_api",
        "engines.libraries",
        "engines.nvidia.forms",
        "engines.nvidia.profile",
        "engines.nvidia.start",
        "engines.plan",
        "engines.tensorrt_log",
    },
    "engines.source": {
        "model",
        "weights.header",
        "engines.export",
        "engines.nvidia.forms",
        "engines.nvidia.profile",
        "engines.onnxruntime",
        "engines.plan",
        "engines.torch",
        "engines.verify",
    },
    "engines.make": {
        "lgnet_cli",
        "weights.header",
        "engines.build",
        "engines.cost",
        "engines.kept",
        "engines.libraries",
        "engines.machine",
        "engines.nvidia.forms",
        "engines.nvidia.profile",
        "engines.nvidia.versions",
        "engines.onnxruntime",
        "engines.phases",
        "engines.plan",
        "engines.source",
        "engines.tensorrt",
        "engines.torch_tensorrt",
        "engines.verify",
    },
    "engines.build_job": {
        "engines.build",
        "engines.libraries",
        "engines.machine",
        "engines.make",
        "engines.nvidia.forms",
        "engines.nvidia.profile",
        "engines.nvidia.start",
        "engines.plan",
        "engines.source",
        "engines.tensorrt_log",
    },
    "engines.cache": {
        "lgnet_cli",
        "weights.header",
        "engines.build_job",
        "engines.libraries",
        "engines.machine",
        "engines.plan",
        "engines.torch_tensorrt",
    },
    "engines.doctor": {"engines.libraries", "engines.machine", "engines.nvidia.versions"},
    "engines.nvidia.findings": {"lgnet_cli", "engines.machine", "engines.nvidia.timing", "engines.protocol"},
    "engines.nvidia.timing": {
        "engines.cost",
        "engines.machine",
        "engines.protocol",
        "engines.tensorrt",
        "engines.verify",
    },
    "engines.nvidia.surroundings": {"engines.doctor", "engines.machine", "engines.verify"},
    "engines.nvidia.check": {
        "lgnet_cli",
        "model",
        "weights",
        "engines.build_job",
        "engines.cost",
        "engines.libraries",
        "engines.machine",
        "engines.nvidia.findings",
        "engines.nvidia.profile",
        "engines.nvidia.surroundings",
        "engines.nvidia.timing",
        "engines.plan",
        "engines.protocol",
        "engines.source",
        "engines.tensorrt",
        "engines.torch",
        "engines.torch_tensorrt",
        "engines.verify",
    },
    "training": {"model", "imaging", "perceptual", "weights.header", "lgnet_cli"},
    "benchmarks": {
        "engines",
        "finders",
        "gallery",
        "imaging",
        "lgnet_cli",
        "model",
        "perceptual",
        "pipeline",
        "refine",
        "processes",
        "report",
        "session",
        "stages",
        "threads",
        "training",
        "weights",
    },
}


def modules() -> dict[str, Path]:
    """{dotted name below lgnet_cli: file}."""
    found = {}
    for folder in ("lgnet_cli", "engines", "training", "benchmarks"):
        for file in (ROOT / folder).rglob("*.py"):
            parts = list(file.relative_to(ROOT).with_suffix("").parts)
            parts = parts[1:] if folder == "lgnet_cli" else parts
            name = ".".join(part for part in parts if part != "__init__")
            found[name or "lgnet_cli"] = file
    return found


def imported(name: str, file: Path) -> set[str]:
    """The modules of lgnet_cli that a file imports, anywhere in it."""
    package = ["lgnet_cli", *name.split(".")] if name != "lgnet_cli" else ["lgnet_cli"]
    package = package if file.name == "__init__.py" else package[:-1]
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            target = ".".join([*base, *([node.module] if node.module else [])])
            found |= {target, *(f"{target}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {t.removeprefix("lgnet_cli.") for t in found if t.startswith("lgnet_cli")} & modules().keys()


def within(name: str, allowed: set[str]) -> bool:
    return any(name == a or name.startswith(a + ".") for a in allowed)


@pytest.mark.parametrize("name", sorted(modules()))
def test_arrows(name: str) -> None:
    rule = max((r for r in MAY_IMPORT if within(name, {r})), key=len, default=None)
    if rule is None:
        assert name in ("engines",)  # only a docstring
        return
    own = {rule.split(".")[0]} if "." not in rule and not rule.startswith("engines") else set()
    allowed = LEAVES | MAY_IMPORT[rule] | own | {"engines"} & {name.split(".")[0]}
    if name.startswith("engines."):
        allowed = LEAVES | MAY_IMPORT[rule] | {name}
    wrong = {t for t in imported(name, modules()[name]) if not within(t, allowed) and t not in ("engines", "weights")}
    assert wrong == set()


HEAVY = {
    "numpy",
    "cv2",
    "torch",
    "onnxruntime",
    "openvino",
    "PIL",
    "tifffile",
    "kornia_rs",
    "onnx",
    "safetensors",
    "rich",
    "matplotlib",
    "skimage",
    "sklearn",
    "fsspec",
    "upath",
    "ray",
}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["inpaint", "--help"],
        ["masks", "find", "--help"],
        ["build-engine", "--help"],
        ["doctor", "--help"],
        ["weights", "--help"],
        ["bench", "--help"],
        ["bench", "quality", "--help"],
        ["train", "--help"],
        ["--version"],
    ],
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = f"""
import sys
sys.argv = ["lgnet", *{arguments!r}]
from lgnet_cli.main import main
try:
    main()
finally:
    print(sorted({HEAVY!r} & sys.modules.keys()), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "tests", capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert done.stdout


def test_files_are_under_300_lines() -> None:
    long = {str(f): n for f in modules().values() if (n := len(f.read_text().splitlines())) > 300}
    assert long == {}
