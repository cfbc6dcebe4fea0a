"""Every name of others that the code uses exists in the real packages: TensorRT 10, 11, TensorRT-RTX, Torch-TensorRT.

The first two load here on libraries that hold nothing but the symbols they ask for, which is enough to read their
classes. LGNET_WHEELS names the folder of their wheels; `.ci/run` fills it.
"""

import ast
import json
import os
import subprocess
import sys
import typing
import zipfile
from pathlib import Path

import pytest

from lgnet_cli.engines import libraries, tensorrt_api

WHEELS = Path(os.environ.get("LGNET_WHEELS", "none"))
SYMBOLS = (
    "createInferBuilder_INTERNAL", "createInferRuntime_INTERNAL", "createInferRefitter_INTERNAL",
    "createNvOnnxParser_INTERNAL", "createNvOnnxParserRefitter_INTERNAL", "getPluginRegistry",
    "getBuilderPluginRegistry", "getNvOnnxParserVersion", "initLibNvInferPlugins",
)  # fmt: skip
LIBRARIES = ("libnvinfer.so", "libnvinfer_plugin.so", "libnvonnxparser.so")
REMOVED = (
    "platform_has_fast_fp16", "platform_has_fast_int8", "FP16", "INT8", "BF16", "FP8", "EXPLICIT_BATCH",
    "OBEY_PRECISION_CONSTRAINTS", "PREFER_PRECISION_CONSTRAINTS", "IInt8Calibrator", "int8_calibrator",
    "device_memory_size", "engine_host_code_allowed",
)  # fmt: skip
RTX_ALONE = (
    "IBuilderConfigRtx", "ICudaEngineRtx", "RuntimeRtx", "ComputeCapability", "EngineValidity", "IRuntimeConfig",
    "IRuntimeCache", "DynamicShapesKernelSpecializationStrategy", "CudaGraphStrategy",
)  # fmt: skip
ROOT = Path(__file__).parent.parent.parent


def used(rtx: bool) -> dict[str, list[str]]:
    """{class of TensorRT: members that lgnet uses}, out of the protocols that mypy holds the code to."""
    names: dict[str, list[str]] = {}
    for name, kind in vars(tensorrt_api).items():
        if isinstance(kind, type) and getattr(kind, "_is_protocol", False) and kind is not typing.Protocol:
            own = name.removesuffix("Rtx")
            if rtx or name not in RTX_ALONE:
                members = {m for m in vars(kind) if not m.startswith("_")} | set(vars(kind).get("__annotations__", {}))
                names[own] = sorted(set(names.get(own, [])) | members)
    names["Severity"] = ["WARNING"]
    return names


PROBE = """
import json, sys
used = json.loads(sys.argv[1])
{load}
classes = {{name: getattr(trt, name, None) for name in used}} | {{"Severity": trt.ILogger.Severity}}
missing = [name for name, kind in classes.items() if kind is None]
missing += [f"{{n}}.{{m}}" for n, kind in classes.items() if kind for m in used[n] if not hasattr(kind, m)]
module = [name for name in json.loads(sys.argv[2]) if not hasattr(trt, name)]
print(json.dumps([trt.__version__, missing + module, hasattr(trt.BuilderFlag, "FP16"), trt.Builder.__module__]))
"""


def probe(load: str, names: dict[str, list[str]], module: list[str], **options: object) -> tuple[str, list[str], bool]:
    command = [sys.executable, "-c", PROBE.format(load=load), json.dumps(names), json.dumps(module)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr
    version, missing, has_flag, _ = json.loads(done.stdout)
    return version, missing, has_flag


def module_names(rtx: bool) -> list[str]:
    return [name for name in typing.get_type_hints(libraries.TensorRT) if rtx or name not in RTX_ALONE]


def wheel(pattern: str) -> Path:
    found = sorted(WHEELS.glob(pattern))
    if not found:
        pytest.skip(f"no {pattern} in the folder that LGNET_WHEELS names; .ci/run fetches it")
    return found[-1]


def stub_libraries(folder: Path, major: int) -> None:
    source = folder / "stub.c"
    source.write_text("".join(f"void *{symbol}(void) {{ return 0; }}\n" for symbol in SYMBOLS))
    for library in LIBRARIES:
        name = f"{library}.{major}"
        subprocess.run(["gcc", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", folder / name, source], check=True)


@pytest.mark.parametrize(("major", "pattern"), [(10, "tensorrt_cu*bindings-10.*"), (11, "tensorrt_cu*bindings-11.*")])
def test_every_name_is_in_the_real_bindings(tmp_path: Path, major: int, pattern: str) -> None:
    with zipfile.ZipFile(wheel(pattern)) as archive:
        archive.extractall(tmp_path)
    stub_libraries(tmp_path, major)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    load = "import tensorrt_bindings as trt"
    version, missing, has_flag = probe(load, used(rtx=False), module_names(rtx=False), env=environment)
    assert version.startswith(f"{major}.")
    assert missing == []
    assert has_flag == (major == 10)  # the probe sees what TensorRT 11 removed
    invented = {"Builder": ["platform_has_fast_fp16"]}
    assert probe(load, invented | {"Severity": []}, [], env=environment)[1] == (
        [] if major == 10 else ["Builder.platform_has_fast_fp16"]
    )


def test_every_name_is_in_tensorrt_rtx() -> None:
    load = "from lgnet_cli.engines.libraries import load_tensorrt\ntrt = load_tensorrt('tensorrt-rtx')"
    _, missing, _ = probe(load, used(rtx=True), module_names(rtx=True), cwd=ROOT / "tests")
    assert missing == []


def test_the_probe_names_what_is_missing() -> None:
    load = "from lgnet_cli.engines.libraries import load_tensorrt\ntrt = load_tensorrt('tensorrt-rtx')"
    wrong = {"Builder": ["create_network", "no_such"], "NoClass": [], "Severity": []}
    assert probe(load, wrong, ["nothing"], cwd=ROOT / "tests")[1] == ["NoClass", "Builder.no_such", "nothing"]


@pytest.mark.parametrize("file", sorted((ROOT / "engines").rglob("*.py")), ids=lambda path: path.name)
def test_no_code_names_what_tensorrt_11_removed(file: Path) -> None:
    """Docstrings may: the names are looked for as attributes, and as strings of their own, which getattr could take."""
    tree = ast.parse(file.read_text())
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert not names & set(REMOVED)
    assert not any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "hasattr"
        for node in ast.walk(tree)
    )


def calls_of(name: str) -> list[set[str]]:
    """The keywords of each call of `torchtrt.<name>` in torch_tensorrt.py."""
    tree = ast.parse((ROOT / "engines" / "torch_tensorrt.py").read_text())
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == f"torchtrt.{name}"]
    return [{keyword.arg or "**" for keyword in call.keywords} for call in calls]


def parameters(archive: zipfile.ZipFile, file: str, function: str) -> set[str]:
    tree = ast.parse(archive.read(file))
    (found,) = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == function)
    return {a.arg for a in [*found.args.args, *found.args.kwonlyargs]}


def keywords_read(archive: zipfile.ZipFile, file: str) -> set[str]:
    """The keys that a function with **kwargs looks up in them."""
    keys = set()
    for node in ast.walk(ast.parse(archive.read(file))):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "kwargs":
            keys.add(ast.literal_eval(node.slice))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("kwargs.get", "kwargs.pop"):
            keys.add(ast.literal_eval(node.args[0]))
        if (
            isinstance(node, ast.Compare)
            and ast.unparse(node.comparators[0]) == "kwargs"
            and isinstance(node.left, ast.Constant)
        ):
            keys.add(node.left.value)
    return keys


def test_every_argument_is_in_torch_tensorrt() -> None:
    with zipfile.ZipFile(wheel("torch_tensorrt-2.*")) as archive:
        compiler, top = "torch_tensorrt/dynamo/_compiler.py", "torch_tensorrt/_compile.py"
        real = {
            "dynamo.compile": parameters(archive, compiler, "compile"),
            "save": parameters(archive, top, "save"),
            "load": parameters(archive, top, "load"),
            "Input": keywords_read(archive, "torch_tensorrt/_Input.py"),
        }
    for name, known in real.items():
        calls = calls_of(name)
        assert calls, name
        assert [call - known for call in calls] == [set()] * len(calls), name
    assert "enabled_precisions" not in real["dynamo.compile"]
    assert "enable_autocast" in real["dynamo.compile"]
