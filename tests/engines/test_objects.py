"""The folder of object code: whatever is wrong with it is ignored, and the numbers are right."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest

import backlit as bl
from backlit.core.errors import MissingImportError
from backlit.engines import objects
from backlit.engines.convolved import Windowed
from backlit.engines.ir import Make
from backlit.engines.kernels import Fed, Fused, Reduced, Steps, Term, Told
from backlit.engines.parts import Parts, Series, Serve
from backlit.engines.places import Extreme, Gathered, Taken
from backlit.engines.pooled import Largest, Spread, Won
from backlit.engines.products import Product, tile
from backlit.engines.thin import Thin

_ROOT = Path(__file__).resolve().parents[2]
_PROGRAM = """
import numpy as np, backlit as bl
x, w = bl.input((bl.M, 5), name="x"), bl.variable(np.arange(15.0).reshape(5, 3) / 7)
f = bl.compile(bl.ops.tanh(x @ w), [x], engine="compiled")
value = f(np.linspace(-1, 1, 20).reshape(4, 5))
assert np.allclose(value, np.tanh(np.linspace(-1, 1, 20).reshape(4, 5) @ w.array), rtol=1e-12), value
"""


def _process(cache: Path, program: str = _PROGRAM) -> subprocess.Popen[str]:
    place = {"BACKLIT_CACHE": str(cache), "PYTHONPATH": str(_ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", program], env={**os.environ, **place}, text=True, stderr=subprocess.PIPE
    )


def _runs(cache: Path) -> None:
    process = _process(cache)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0 and not said, said


def _files(cache: Path) -> list[Path]:
    return sorted((cache / "backlit").iterdir())


@pytest.mark.slow
def test_second_process_reads_what_the_first_one_wrote(tmp_path: Path) -> None:
    _runs(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in _files(tmp_path)}
    assert before and all(len(path.name) == 41 for path in before)
    _runs(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in _files(tmp_path)} == before


def _cut(path: Path, content: bytes) -> None:
    path.write_bytes(content[: len(content) // 2])


def _flip(path: Path, content: bytes) -> None:
    path.write_bytes(content[:-40] + bytes([content[-40] ^ 1]) + content[-39:])


def _folder(path: Path, content: bytes) -> None:
    path.unlink()
    path.mkdir()


SPOILT: dict[str, Callable[[Path, bytes], object]] = {
    "empty": lambda path, content: path.write_bytes(b""),
    "cut": _cut,
    "one bit": _flip,
    "foreign": lambda path, content: path.write_bytes(b"\x7fELF" + bytes(500)),
    "a folder": _folder,
}


@pytest.mark.slow
@pytest.mark.parametrize("how", SPOILT)
def test_damaged_files_are_ignored(how: str, tmp_path: Path) -> None:
    _runs(tmp_path)
    for path in _files(tmp_path):
        SPOILT[how](path, path.read_bytes())
    _runs(tmp_path)


@pytest.mark.slow
def test_code_of_one_kernel_under_the_name_of_another_is_ignored(tmp_path: Path) -> None:
    _runs(tmp_path)
    first, *rest = _files(tmp_path)
    for path in rest:
        path.write_bytes(first.read_bytes())
    _runs(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_folder_that_others_can_write_is_not_read(tmp_path: Path) -> None:
    _runs(tmp_path)
    for path in _files(tmp_path):
        path.write_bytes(b"")
    (tmp_path / "backlit").chmod(0o777)
    _runs(tmp_path)
    assert all(path.read_bytes() == b"" for path in _files(tmp_path))


@pytest.mark.slow
def test_place_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    _runs(tmp_path / "file")
    _runs(Path(os.devnull) / "nowhere")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_folder_is_private(tmp_path: Path) -> None:
    _runs(tmp_path)
    assert stat.S_IMODE((tmp_path / "backlit").stat().st_mode) == 0o700


@pytest.mark.slow
def test_processes_that_write_at_once_are_all_right(tmp_path: Path) -> None:
    processes = [_process(tmp_path) for _ in range(4)]
    assert [process.wait(timeout=120) for process in processes] == [0] * 4
    for process in processes:
        assert process.stderr is not None and process.stderr.read() == ""
        process.stderr.close()
    assert all(len(path.name) == 41 for path in _files(tmp_path)), "nothing half written is left"


def test_without_llvmlite_one_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llvmlite.binding", None)
    with pytest.raises(MissingImportError, match=r"pip install 'backlit\[fast\]'"):
        objects.Machine()


# ---------------------------------------------------------------------- processors that are not this one
PROCESSORS = {
    "AVX-512": ("x86_64-unknown-linux-gnu", "skylake-avx512", {"avx512f": True, "avx2": True, "fma": True}),
    "AVX-512 in halves": ("x86_64-unknown-linux-gnu", "znver4", {"avx512f": True, "avx2": True, "fma": True}),
    "AVX2": ("x86_64-unknown-linux-gnu", "haswell", {"avx2": True, "fma": True}),
    "AVX2 on Windows": ("x86_64-pc-windows-msvc", "haswell", {"avx2": True, "fma": True}),
    "SSE": ("x86_64-unknown-linux-gnu", "x86-64", {}),
    "NEON": ("aarch64-unknown-linux-gnu", "cortex-a72", {}),
    "NEON on a Mac": ("arm64-apple-macosx14.0", "apple-m1", {}),
}
_ACTIVATION = Fused(
    (("float32", "along"), ("uint8", "strided"), ("float64", "same")),
    (Term("tanh", (0,), "float32"), Term("cast", (1,), "float32"), Term("multiply", (3, 4), "float32"),
     Term("exp", (5,), "float32"), Term("log", (6,), "float32"), Term("greater", (7, 0), "bool"),
     Term("where", (8, 7, 0), "float32")),
    ((9, "float32", "along"), (8, "bool", "strided")), ((9, "float64"),), 2,
)  # fmt: skip
RECIPES = [
    _ACTIVATION, Reduced("maximum", "float32", "float32", True, True), Reduced("add", "float64", "float64", False, True),
    Gathered("uint8", "float32"), Extreme("float32", "argmax"), Fed("float32"), Told("float32"), Steps(),
    Product("float32", "rows"), Product("float64", "columns"), Product("float32", "columns", batch=True),
    Thin("float32", "rows"), Thin("float64", "columns", batch=True), Fused((("float64", "same"),),
    (Term("power", (0, 0), "float64"), Term("log1p", (1,), "float64")), ((2, "float32", "same"),), (), 0),
    Windowed("float32", True), Windowed("float64", False), Taken("float32", "int64", False), Taken("float64", "int32", True),
    Largest((("float32", "along"), ("float32", "same")), (Term("add", (0, 1), "float32"),), "float32", "uint8", 4),
    Largest((("float64", "strided"),), (), "float64", "uint16", 9), Spread("float32", "uint8", 4, False),
    Spread("float64", "uint32", 25, True), Won("float32", "uint8", "kernel", 3, 2, True),
    Won("float64", "uint16", "input", 1, 4, False), Parts(), Series(), Serve(),
]  # fmt: skip


@pytest.fixture(scope="module")
def every_processor() -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()


@pytest.mark.parametrize("processor", PROCESSORS)
def test_kernels_compile_for_processors_that_are_not_this_one(processor: str, every_processor: None) -> None:
    target = objects.Target(*PROCESSORS[processor])
    for recipe in RECIPES:
        assert len(target.machine.emit_object(target.module(recipe, "kernel"))) > 200, recipe


@pytest.mark.parametrize("processor", ["AVX-512", "AVX-512 in halves", "AVX2", "NEON"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tiles_stay_in_the_registers(processor: str, dtype: str, every_processor: None) -> None:
    target = objects.Target(*PROCESSORS[processor])
    code = target.machine.emit_assembly(target.module(Product(dtype, "rows"), "kernel"))
    vectors = ("ymm", "zmm", "\tq", ", q", "stp\td", "ldp\td")
    spilt = [line for line in code.splitlines() if "sp" in line.split(",")[-1] or "(%rsp)" in line]
    spilt = [line for line in spilt if any(vector in line for vector in vectors)]
    assert len(spilt) <= 8, spilt  # what is kept over the outermost loops


@pytest.mark.parametrize("make", [Make(16, 32, True), Make(8, 16, True), Make(4, 32, True), Make(4, 16, False)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tiles_follow_the_registers(make: Make, dtype: str) -> None:
    rows, vectors = tile(make, dtype)
    registers = 2 if dtype == "float64" else 1
    used = rows * vectors * registers + vectors * registers + 1
    assert make.registers * 0.5 <= used <= make.registers


def test_models_with_the_same_kernels_share_their_code() -> None:
    x = bl.input((bl.M, 5), name="x", dtype="float32")
    first = bl.compile(bl.ops.sigmoid(x) * 2, [x], engine="compiled")
    first(np.zeros((3, 5), "float32"))
    held = len(objects.machine().linked)
    again = bl.compile(bl.ops.sigmoid(x) * 2, [x], engine="compiled")
    again(np.zeros((70, 5), "float32"))
    assert len(objects.machine().linked) == held
