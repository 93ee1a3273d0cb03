"""Recipes to addresses: machine code is emitted once per machine, kept in a private folder, and linked into the process.

An object file is named by everything it depends on: the recipe, the processor and its features, the versions of LLVM and
of the emitter. A folder that is not ours alone, a damaged or foreign file, or a disk that cannot be written is ignored:
the code is then emitted again.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ..core.errors import MissingImportError
from . import convolved, ir, kernels, panels, parts, places, pooled, products, thin, vectors
from .convolved import Windowed
from .ir import Function, Make
from .kernels import Steps
from .panels import Laid, Panels
from .parts import Parts, Series, Serve
from .places import Extreme, Gathered, Taken
from .pooled import Largest, Spread, Won
from .products import Product
from .thin import Thin

_DIGEST = 32


class Target:
    """What code is emitted for: a kind of processor with its vectors and registers."""

    def __init__(self, triple: str, cpu: str, features: Mapping[str, bool], jit: bool = False):
        binding = _binding()
        self.machine = binding.Target.from_triple(triple).create_target_machine(
            cpu=cpu, features=",".join(f"{'+' if on else '-'}{name}" for name, on in features.items()), opt=2, jit=jit
        )
        arm = triple.startswith(("aarch64", "arm64"))
        wide, middle = features.get("avx512f", False), features.get("avx2", False) and features.get("fma", False)
        family = "arm" if arm else "x86" if triple.startswith(("x86_64", "i686")) else ""
        lanes, registers = 16 if wide else 8 if middle else 4, 32 if wide or arm else 16
        self.make = Make(lanes, registers, wide or middle or arm, family, wide and cpu == "znver4")
        self.key = "\n".join([triple, cpu, str(sorted(features.items())), str(binding.llvm_version_info), _emitter()])

    @classmethod
    def host(cls) -> Target:
        """This machine's own processor."""
        binding = _binding()
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        triple, features = binding.get_process_triple(), dict(binding.get_host_cpu_features())
        return cls(triple, binding.get_host_cpu_name(), features, jit=True)

    def text(self, recipe: Any, name: str) -> str:
        """A recipe as a whole LLVM module."""
        f = made(recipe, name, self.make)
        attributes = f'attributes #0 = {{ nounwind "prefer-vector-width"="{self.make.lanes * 32}" }}\n'
        return "\n".join(sorted(f.declared)) + "\n" + f.text() + attributes

    def module(self, recipe: Any, name: str) -> Any:
        """The same, parsed and verified."""
        module = _binding().parse_assembly(self.text(recipe, name))
        module.verify()
        return module


class Machine:
    """This process: which recipes it has code of, and where."""

    def __init__(self) -> None:
        self.target = Target.host()
        self.key = hashlib.sha256(self.target.key.encode()).digest()
        self.jit = _binding().create_lljit_compiler(self.target.machine)
        self.linked: dict[Any, int] = {}
        self.held: list[Any] = []
        self.lock = threading.Lock()
        if hasattr(os, "register_at_fork"):  # a child must not begin with code that is half linked
            release = self.lock.release
            os.register_at_fork(before=self.lock.acquire, after_in_parent=release, after_in_child=release)

    def addresses(self, recipes: Iterable[Any]) -> dict[Any, int]:
        """Where the code of each recipe lies; what is new is read from the folder or emitted."""
        with self.lock:
            new = [each for each in dict.fromkeys(recipes) if each not in self.linked]
            if new:
                self._link(new)
            return {each: self.linked[each] for each in recipes}

    def _link(self, recipes: list[Any]) -> None:
        binding = _binding()
        names = {each: self._name(each) for each in recipes}
        builder = binding.JITLibraryBuilder()
        missing = []
        for recipe, name in names.items():
            code = _kept(name)
            if code is None:
                missing.append(recipe)
            else:
                builder.add_object_img(code)
        for recipe in missing:
            code = self.emit(recipe, names[recipe])
            _keep(names[recipe], code)
            builder.add_object_img(code)
        builder.add_current_process()
        for name in names.values():
            builder.export_symbol(name)
        library = builder.link(self.jit, f"backlit{len(self.held)}")
        self.held.append(library)
        self.linked.update({recipe: library[name] for recipe, name in names.items()})

    def _name(self, recipe: Any) -> str:
        return "k" + hashlib.sha256(self.key + repr(recipe).encode()).hexdigest()[:40]

    def emit(self, recipe: Any, name: str) -> bytes:
        """The object code of a recipe."""
        return bytes(self.target.machine.emit_object(self.target.module(recipe, name)))


def made(recipe: Any, name: str, make: Make) -> Function:
    """The function of any recipe."""
    match recipe:
        case Product():
            return products.product(name, recipe, make)
        case Thin():
            return thin.kernel(name, recipe, make)
        case Windowed():
            return convolved.kernel(name, recipe, make)
        case Largest() | Spread() | Won():
            return pooled.kernel(name, recipe, make)
        case Laid() | Panels():
            return panels.kernel(name, recipe, make)
        case Parts() | Series() | Serve():
            return parts.kernel(name, recipe, make)
        case Steps():
            return kernels.steps(name, make)
        case Gathered() | Extreme() | Taken():
            return places.kernel(name, recipe, make)
    return kernels.kernel(name, recipe, make)


_machines: list[Machine] = []  # two threads that begin at once may make one each, and both run the code of their own


@cache
def machine() -> Machine:
    """The machine of this process."""
    _machines.append(Machine())
    return _machines[-1]


def _binding() -> Any:
    try:
        import llvmlite.binding
    except ImportError:
        raise MissingImportError(
            "the compiled engine needs llvmlite.", fix="pip install 'backlit[fast]', or compile(engine='planned')"
        ) from None
    return llvmlite.binding


@cache
def _emitter() -> str:
    """The emitter's own text: whoever changes it gets new code."""
    rooms = (ir, vectors, kernels, products, convolved, panels, parts, places, pooled, thin)
    return "".join(Path(str(each.__file__)).read_text() for each in rooms)


# ---------------------------------------------------------------------- the folder
@cache
def _folder() -> Path | None:
    """A folder that only this user can write, or None."""
    home = os.environ.get("BACKLIT_CACHE") or os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    folder = Path(home).expanduser() / "backlit"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = folder.stat()
    except OSError:
        return None
    if sys.platform == "win32":
        return folder
    others = about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return None if about.st_uid != os.getuid() or others else folder


def _kept(name: str) -> bytes | None:
    """The code of that name, if the file holds what it says."""
    folder = _folder()
    if folder is None:
        return None
    try:
        content = (folder / name).read_bytes()
    except OSError:
        return None
    digest, code = content[:_DIGEST], content[_DIGEST:]
    return code if code and hashlib.sha256(name.encode() + code).digest() == digest else None


def _keep(name: str, code: bytes) -> None:
    folder = _folder()
    if folder is None:
        return
    try:
        handle, temporary = tempfile.mkstemp(dir=folder)
        with os.fdopen(handle, "wb") as stream:
            stream.write(hashlib.sha256(name.encode() + code).digest() + code)
        os.replace(temporary, folder / name)
    except OSError:
        return
