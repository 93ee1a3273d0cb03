"""The text of LLVM functions in the making: typed values, loops that carry values, loads and stores under a mask.

A kernel works on vectors of `lanes` numbers whatever their kind: the machine splits what is wider than its registers.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

KINDS = {
    "float32": "float", "float64": "double", "int64": "i64", "int32": "i32", "int16": "i16", "int8": "i8", "bool": "i8",
    "uint32": "u32", "uint16": "u16", "uint8": "u8",
}  # fmt: skip
BITS = {"float": 32, "double": 64, "i64": 64, "i32": 32, "i16": 16, "i8": 8, "i1": 1, "ptr": 64,
        "u32": 32, "u16": 16, "u8": 8}  # fmt: skip


@dataclass(frozen=True)
class Make:
    """What code has to know of a processor: numbers of 32 bits in a register, registers, whether it has a·b + c, its family
    ("x86", "arm") where it has an instruction for waiting, and whether half a register takes half the time."""

    lanes: int
    registers: int
    fuses: bool
    family: str = ""
    halves: bool = False

    @property
    def least(self) -> int:
        """The fewest lanes of a vector that are worth an instruction of their own."""
        return self.lanes // 2 if self.halves else self.lanes


@dataclass(frozen=True)
class Value:
    """A number, or a vector of `lanes` of them, of an LLVM kind; ``u32`` is an ``i32`` read without a sign."""

    text: str
    kind: str
    lanes: int = 1

    @property
    def type(self) -> str:
        """``float`` or ``<16 x float>``."""
        kind = self.kind.replace("u", "i") if self.unsigned else self.kind
        return kind if self.lanes == 1 else f"<{self.lanes} x {kind}>"

    @property
    def unsigned(self) -> bool:
        """Whether these are whole numbers without a sign."""
        return self.kind.startswith("u")

    @property
    def floats(self) -> bool:
        """Whether these are floating numbers."""
        return self.kind in ("float", "double")

    def __str__(self) -> str:
        return f"{self.type} {self.text}"


def number(value: float, kind: str, lanes: int = 1) -> Value:
    """A constant, in every lane."""
    if kind in ("float", "double"):
        exact = float(np.float32(value)) if kind == "float" else float(value)
        text = f"0x{struct.unpack('<Q', struct.pack('<d', exact))[0]:016X}"
    else:
        text = str(int(value))
    return Value(text if lanes == 1 else f"splat ({Value(text, kind)})", kind, lanes)


def count(value: int) -> Value:
    """A whole number as an index."""
    return number(value, "i64")


class Function:
    """One function: `value` and `do` append instructions, the other methods are made of these two."""

    def __init__(self, name: str, parameters: Sequence[Value], make: Make, result: str = "void"):
        self.name, self.make, self.lanes, self.result = name, make, make.lanes, result
        self.parameters = ", ".join(map(str, parameters))
        self.lines = ["entry:"]
        self.block = "entry"
        self.made = 0
        self.declared: set[str] = set()

    # ------------------------------------------------------------------ instructions
    def value(self, text: str, kind: str, lanes: int = 1) -> Value:
        """Append ``%v = text``."""
        self.made += 1
        self.lines.append(f"  %v{self.made} = {text}")
        return Value(f"%v{self.made}", kind, lanes)

    def do(self, text: str) -> None:
        """Append an instruction without a result."""
        self.lines.append(f"  {text}")

    def begin(self, label: str) -> None:
        """Begin the block of that label."""
        self.lines.append(f"{label}:")
        self.block = label

    def label(self) -> str:
        """A new label."""
        self.made += 1
        return f"b{self.made}"

    def apply(self, operation: str, *operands: Value) -> Value:
        """An arithmetic instruction on values of one type: ``fadd``, ``mul nsw``, …"""
        first = operands[0]
        texts = ", ".join(each.text for each in operands)
        return self.value(f"{operation} {first.type} {texts}", first.kind, first.lanes)

    def compare(self, condition: str, a: Value, b: Value) -> Value:
        """``olt`` and its kin for floats, ``slt``, ``ult`` … for whole numbers: i1 in every lane."""
        return self.value(f"{'fcmp' if a.floats else 'icmp'} {condition} {a}, {b.text}", "i1", a.lanes)

    def select(self, condition: Value, yes: Value, no: Value) -> Value:
        """`yes` where the condition holds, else `no`."""
        return self.value(f"select {condition}, {yes}, {no}", yes.kind, yes.lanes)

    def convert(self, instruction: str, value: Value, kind: str) -> Value:
        """``fpext``, ``sitofp``, ``bitcast`` …"""
        to = Value("", kind, value.lanes)
        return self.value(f"{instruction} {value} to {to.type}", kind, value.lanes)

    def call(self, name: str, *operands: Value, like: Value | None = None) -> Value:
        """Call an intrinsic or library function; the result is `like` the first operand unless said otherwise."""
        result = like or operands[0]
        arguments = ", ".join(map(str, operands))
        self.declared.add(f"declare {result.type} @{name}({', '.join(each.type for each in operands)})")
        return self.value(f"call {result.type} @{name}({arguments})", result.kind, result.lanes)

    def intrinsic(self, name: str, *operands: Value) -> Value:
        """An LLVM intrinsic of the operands' own type: ``fma``, ``sqrt``, ``maximum``, …"""
        return self.call(f"llvm.{name}.{suffix(operands[0])}", *operands)

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """a·b + c, in one rounding where the processor can."""
        if self.make.fuses:
            return self.intrinsic("fma", a, b, c)
        return self.apply("fadd", self.apply("fmul", a, b), c)

    # ------------------------------------------------------------------ memory
    def at(self, base: Value, offset: Value | int, kind: str = "i8") -> Value:
        """The address `offset` elements of `kind` behind `base`."""
        place = count(offset) if isinstance(offset, int) else offset
        return self.value(f"getelementptr {Value('', kind).type}, {base}, {place}", "ptr")

    def load(self, base: Value, kind: str, lanes: int = 1) -> Value:
        """A number, or a whole vector, from memory that need not be aligned."""
        return self.value(f"load {Value('', kind, lanes).type}, {base}, align {BITS[kind] // 8}", kind, lanes)

    def store(self, value: Value, base: Value) -> None:
        """Write a number or a whole vector."""
        self.do(f"store {value}, {base}, align {BITS[value.kind] // 8}")

    def load_some(self, base: Value, kind: str, mask: Value) -> Value:
        """The lanes of a vector that `mask` names; zeros in the others."""
        zero = number(0, kind, mask.lanes)
        result = Value("", kind, mask.lanes)
        name = f"llvm.masked.load.{suffix(result)}.p0"
        self.declared.add(f"declare {result.type} @{name}(ptr, i32, {mask.type}, {result.type})")
        return self.value(
            f"call {result.type} @{name}({base}, i32 {BITS[kind] // 8}, {mask}, {zero})", kind, mask.lanes
        )

    def store_some(self, value: Value, base: Value, mask: Value) -> None:
        """Write the lanes that `mask` names."""
        name = f"llvm.masked.store.{suffix(value)}.p0"
        self.declared.add(f"declare void @{name}({value.type}, ptr, i32, {mask.type})")
        self.do(f"call void @{name}({value}, {base}, i32 {BITS[value.kind] // 8}, {mask})")

    def store_strided(self, value: Value, base: Value, stride: Value, mask: Value) -> None:
        """Write one number every `stride` bytes, for the lanes that `mask` names."""
        steps = self.apply("mul", self.iota(), self.every(stride))
        places = self.value(f"getelementptr i8, {base}, {steps}", "ptr", self.lanes)
        name = f"llvm.masked.scatter.{suffix(value)}.v{self.lanes}p0"
        self.declared.add(f"declare void @{name}({value.type}, {places.type}, i32, {mask.type})")
        self.do(f"call void @{name}({value}, {places}, i32 {BITS[value.kind] // 8}, {mask})")

    def load_strided(self, base: Value, stride: Value, kind: str, mask: Value) -> Value:
        """One number every `stride` bytes."""
        steps = self.apply("mul", self.iota(), self.every(stride))
        places = self.value(f"getelementptr i8, {base}, {steps}", "ptr", self.lanes)
        zero, result = number(0, kind, self.lanes), Value("", kind, self.lanes)
        name = f"llvm.masked.gather.{suffix(result)}.v{self.lanes}p0"
        self.declared.add(f"declare {result.type} @{name}({places.type}, i32, {mask.type}, {result.type})")
        text = f"call {result.type} @{name}({places}, i32 {BITS[kind] // 8}, {mask}, {zero})"
        return self.value(text, kind, self.lanes)

    # ------------------------------------------------------------------ vectors
    def every(self, value: Value, lanes: int = 0) -> Value:
        """The number in every lane, of `lanes` or as many as there usually are."""
        lanes = lanes or self.lanes
        if lanes == 1:
            return value
        if not value.text.startswith("%"):
            return Value(f"splat ({value})", value.kind, lanes)
        to = Value("", value.kind, lanes)
        first = self.value(f"insertelement {to.type} poison, {value}, i64 0", value.kind, lanes)
        where = f"<{lanes} x i32> zeroinitializer"
        return self.value(f"shufflevector {first}, {to.type} poison, {where}", value.kind, lanes)

    def iota(self, lanes: int = 0, kind: str = "i64") -> Value:
        """0, 1, 2, … as whole numbers."""
        lanes = lanes or self.lanes
        return Value("<" + ", ".join(f"{kind} {lane}" for lane in range(lanes)) + ">", kind, lanes)

    def first_lanes(self, how_many: Value, lanes: int = 0) -> Value:
        """The mask of the first lanes; `how_many` may be more than there are."""
        lanes = lanes or self.lanes
        few = self.convert("trunc", self.intrinsic("smin", how_many, count(lanes)), "i32")
        return self.compare("slt", self.iota(lanes, "i32"), self.every(few, lanes))

    def lane(self, vector: Value, place: int) -> Value:
        """One number of a vector."""
        return self.value(f"extractelement {vector}, i64 {place}", vector.kind)

    def each_lane(self, name: str, *vectors: Value) -> Value:
        """A library function of single numbers, lane by lane."""
        if self.lanes == 1:
            return self.call(name, *vectors)
        out = Value("poison", vectors[0].kind, vectors[0].lanes)
        for place in range(self.lanes):
            one = self.call(name, *(self.lane(vector, place) for vector in vectors))
            out = self.value(f"insertelement {out}, {one}, i64 {place}", out.kind, out.lanes)
        return out

    # ------------------------------------------------------------------ control
    def loop(
        self,
        stop: Value,
        body: Callable[[Value, list[Value]], Sequence[Value] | None],
        carried: Sequence[Value] = (),
        start: Value | None = None,
        step: int = 1,
    ) -> list[Value]:
        """``for i in range(start, stop, step)``: `body(i, carried)` gives the carried values of the next turn."""
        head, inside, after = self.label(), self.label(), self.label()
        before, first = self.block, start or count(0)
        self.do(f"br label %{head}")
        self.begin(head)
        place = len(self.lines)
        self.made += 1
        index = Value(f"%i{self.made}", "i64")
        held = [Value(f"%c{self.made}_{k}", each.kind, each.lanes) for k, each in enumerate(carried)]
        self.lines.append("")
        more = self.compare("slt", index, stop)
        self.do(f"br {more}, label %{inside}, label %{after}")
        self.begin(inside)
        new = list(body(index, held) or ())
        following = self.apply("add nsw", index, count(step))
        phis = [f"  {index.text} = phi i64 [{first.text}, %{before}], [{following.text}, %{self.block}]"]
        for phi, old, fresh in zip(held, carried, new, strict=True):
            phis.append(f"  {phi.text} = phi {phi.type} [{old.text}, %{before}], [{fresh.text}, %{self.block}]")
        self.lines[place] = "\n".join(phis)
        self.do(f"br label %{head}")
        self.begin(after)
        return held

    def when(self, condition: Value, body: Callable[[], None]) -> None:
        """Run `body` if the condition holds."""
        inside, after = self.label(), self.label()
        self.do(f"br {condition}, label %{inside}, label %{after}")
        self.begin(inside)
        body()
        self.do(f"br label %{after}")
        self.begin(after)

    def text(self) -> str:
        """The definition."""
        lines = "\n".join(self.lines)
        return f"define {self.result} @{self.name}({self.parameters}) #0 {{\n{lines}\n}}\n"


def suffix(value: Value) -> str:
    """How an intrinsic's name speaks of a type: ``v16f32``."""
    kind = {"float": "f32", "double": "f64"}.get(value.kind, Value("", value.kind).type)
    return kind if value.lanes == 1 else f"v{value.lanes}{kind}"
