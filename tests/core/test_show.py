"""Any graph as text and LaTeX."""

from __future__ import annotations

import ast
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import backlit as bl
from backlit.core import registry
from backlit.core.op import Op, literal
from backlit.core.walk import Graph, strip_marks

ops = bl.ops
w, x, y = bl.variable(2.0, "w"), bl.variable(3.0, "x"), bl.variable(5.0, "y")
A, v = bl.variable(np.ones((2, 3)), "A"), bl.variable([1.0, 2.0, 3.0], "v")


# ---------------------------------------------------------------------- one line
@pytest.mark.parametrize(
    ("node", "text", "latex"),
    [
        (w + x + y, "w + x + y", "w + x + y"),
        (w - (x - y), "w - (x - y)", r"w - \left(x - y\right)"),
        (w - x - y, "w - x - y", "w - x - y"),
        (w + (x + y), "w + (x + y)", r"w + \left(x + y\right)"),
        (3 * (w + x * y), "3 * (w + x * y)", r"3 \, \left(w + x \, y\right)"),
        (w / (x / y), "w / (x / y)", r"\frac{w}{\frac{x}{y}}"),
        (w * x / y, "w * x / y", r"\frac{w \, x}{y}"),
        (w / (x * y), "w / (x * y)", r"\frac{w}{x \, y}"),
        ((w**x) ** y, "(w ** x) ** y", r"\left(w^{x}\right)^{y}"),
        (w ** (x**y), "w ** (x ** y)", "w^{x^{y}}"),
        (-(w**2), "-w ** 2", "-w^{2}"),
        ((-w) ** 2, "(-w) ** 2", r"\left(-w\right)^{2}"),
        ((-2) ** w, "(-2) ** w", r"\left(-2\right)^{w}"),
        (ops.negative(-w), "-(-w)", r"-\left(-w\right)"),
        (w * -2, "w * (-2)", r"w \, \left(-2\right)"),
        (-2 * w, "-2 * w", r"-2 \, w"),
        (w - (-x), "w - (-x)", r"w - \left(-x\right)"),
        (-(w + x), "-(w + x)", r"-\left(w + x\right)"),
        ((w > x) * y, "(w > x) * y", r"\left(w > x\right) \, y"),
        (ops.cast(w + x, "float32") * 2, "(w + x) * 2", r"\left(w + x\right) \, 2"),
        (ops.exp(w + 1) ** 2, "exp(w + 1) ** 2", r"\left(e^{w + 1}\right)^{2}"),
        (ops.log(w * x), "log(w * x)", r"\log \left(w \, x\right)"),
        (ops.tanh(w) ** 2, "tanh(w) ** 2", r"\left(\tanh w\right)^{2}"),
        (A @ v, "A @ v", r"A \cdot v"),
        (A.T @ (v[:2] + 1), "A.T @ (slice(v, start=(0,), stop=(2,), step=(1,)) + 1)", None),
        (A[:] + v[None], "A + reshape(v, shape=(1, 3))", "A + v"),
        (A.T**2, "(A.T) ** 2", r"\left(A^T\right)^{2}"),
        (bl.nn.softmax(v, axis=0), "softmax(v, axis=0)", r"\operatorname{softmax}\left(v\right)"),
        (bl.nn.softmax(v), "softmax(v)", r"\operatorname{softmax}\left(v\right)"),
        (bl.nn.leaky_relu(w, negative_slope=0.01), "leaky_relu(w, negative_slope=0.01)", None),
        (ops.where(w > 0, w, 0), "where(w > 0, w, 0)", r"\begin{cases}w & w > 0 \\ 0 & \text{else}\end{cases}"),
        (abs(w - 1), "absolute(w - 1)", r"\left|w - 1\right|"),
        (ops.erf(w), "erf(w)", r"\operatorname{erf}\left(w\right)"),
        (ops.sum(v * 2), "sum(v * 2, axis=(0,))", r"\sum v \, 2"),
        (ops.sum(v + 2), "sum(v + 2, axis=(0,))", r"\sum \left(v + 2\right)"),
        (w, "w", "w"),
        (literal(-1.5), "-1.5", "-1.5"),
    ],
    ids=lambda it: it if isinstance(it, str) else None,
)
def test_one_formula(node, text, latex):
    assert str(node) == text
    if latex is not None:
        assert node.to_latex() == latex


@pytest.mark.parametrize(
    ("value", "text", "latex"),
    [
        (2.0, "2", "2"),
        (3, "3", "3"),
        (True, "True", "True"),
        (0.1, "0.1", "0.1"),
        (1e-7, "1e-07", r"1 \cdot 10^{-7}"),
        (2.5e300, "2.5e+300", r"2.5 \cdot 10^{300}"),
        (1e15, "1000000000000000.0", "1000000000000000.0"),
    ],
)
def test_numbers(value, text, latex):
    assert (str(literal(value)), literal(value).to_latex()) == (text, latex)
    assert text == str(bl.constant(value)) == str(bl.variable(value))
    assert eval(text) == value


def test_leaves_without_a_name():
    assert str(bl.constant(3) * w + bl.constant(3)) == "3 * w + 3"
    assert str(bl.constant(-3) ** w) == "(-3) ** w"
    assert str(w * bl.constant(1e-7)) == "w * 1e-07"
    assert (w ** bl.constant(1e-7)).to_latex() == r"w^{1 \cdot 10^{-7}}"
    assert (bl.constant(1e-7) ** w).to_latex() == r"\left(1 \cdot 10^{-7}\right)^{w}"
    assert str(bl.input((bl.M, 3)) @ v) == "input(m, 3) @ v"
    assert str(bl.input((2,)) + bl.input((2,))) == "input(2,) + input(2,)'2"


@pytest.mark.parametrize(
    ("name", "latex"),
    [
        ("w", "w"),
        ("w1", "w_{1}"),
        ("w_12", "w_{12}"),
        ("dense/kernel", r"\text{dense/kernel}"),
        ("a_b", r"\text{a\_b}"),
        ("alcohol %", r"\text{alcohol \%}"),
        ("$#&{}", r"\text{\$\#\&\{\}}"),
    ],
)
def test_names_in_latex(name, latex):
    assert bl.variable(1.0, name).to_latex() == latex


# ---------------------------------------------------------------------- several lines
def test_named_parts_get_a_line_each():
    c = bl.name(w * x, "c")
    a = bl.name(c + y, "a")
    J = (a - 2) ** 2 / 2
    assert str(J) == "c = w * x\na = c + y\n(a - 2) ** 2 / 2"
    assert J.to_latex() == (
        "\\begin{aligned}\nc &= w \\, x \\\\\na &= c + y \\\\\n& \\frac{\\left(a - 2\\right)^{2}}{2}\n\\end{aligned}"
    )
    assert str(a) == "c = w * x\na = c + y\na"
    assert J._repr_latex_() == f"$$ {J.to_latex()} $$"


def test_shared_parts_get_a_line_each():
    shared = w + x
    assert str(shared * shared) == "t1 = w + x\nt1 * t1"
    assert (shared * shared).to_latex() == "\\begin{aligned}\nt_{1} &= w + x \\\\\n& t_{1} \\, t_{1}\n\\end{aligned}"
    assert str(w * w + literal(2.0) * literal(2.0)) == "w * w + 2 * 2"  # leaves and numbers do not


def test_names_never_clash():
    t1 = bl.name(w * x, "t1")
    shared = w + 1
    assert str(t1 + shared * shared) == "t1 = w * x\nt2 = w + 1\nt1 + t2 * t2"
    assert "t_{2} &= w + 1" in (t1 + shared * shared).to_latex()
    other = bl.variable(7.0, "w")
    assert str(w + other) == "w + w'2"
    assert str(bl.name(w * 2, "c") * bl.name(w * 3, "c")) == "c = w * 2\nc'2 = w * 3\nc * c'2"


def test_long_formulas_are_broken():
    J = w
    for k in range(40):
        J = J * x + float(k)
    lines = str(J).splitlines()
    assert len(lines) > 3 and all(len(line) < 100 for line in lines)
    assert lines[0].startswith("t1 = ") and lines[-1].endswith(" + 39")


def test_a_whole_graph():
    X, b = bl.input((bl.M, 3), "X"), bl.variable(0.5, "b")
    z = bl.name(X @ v + b, "z")
    J = ops.mean(z * z)
    graph = Graph([X], [J], {b: b - 0.1 * bl.grad(J, b)}, ops.isfinite(J))
    lines = str(graph).splitlines()
    assert lines[0] == "input   X  (m, 3) float64"
    assert lines[1] == "        z = X @ v + b  (m,) float64"
    assert lines[-3].startswith("output  ") and lines[-2].startswith("update  b <- b - 0.1 * ")
    assert lines[-1].startswith("gate    isfinite(")
    assert repr(graph) == f"<Graph 1 inputs, {len(graph.nodes)} nodes, 1 outputs>"


def test_derivatives_print_as_formulas():
    c = bl.name(w * x, "c")
    J = (c - y) ** 2 / 2
    assert str(bl.grad(J, w)) == "c = w * x\n1 / 2 * 2 * (c - y) * x"
    assert str(bl.grad(J, bl.variable(1.0))) == "no path = 0\nno path"


# ---------------------------------------------------------------------- of every record
def records():
    assert ops.exp  # the table is filled
    names = [name for name in registry.names("op.") if isinstance(registry.lookup(name), Op)]
    return [registry.lookup(name) for name in names if registry.lookup(name).probe is not None]


@pytest.mark.parametrize("op", records(), ids=lambda op: op.name)
def test_every_record_prints(op):
    """Also as the base of a power and as a factor: brackets close, and no two exponents meet, which LaTeX refuses."""
    for case in op.probe.cases:
        inputs = [
            bl.input(shape, name, dtype=op.probe.sampler(place).dtype)
            for place, (shape, name) in enumerate(zip(case.shapes, "abcdef", strict=False))
        ]
        node = op.node(inputs, **case.attrs) if op.variadic else op.node(*inputs, **case.attrs)
        several = list(node) if node.several else [node * 1.0, (node * 1.0) ** 2.0, 2.0 - ops.cast(node, "float64")]
        for each in several:
            assert str(each)
            latex = each.to_latex()
            assert latex.count("{") == latex.count("}")
            assert len(re.findall(r"\\left", latex)) == len(re.findall(r"\\right", latex))
            assert not re.search(r"\^(\{[^{}]*\}|[A-Za-z0-9])\s*\^", latex)


# ---------------------------------------------------------------------- reading it back
NUMBERS = st.sampled_from([2.0, 0.5, -1.5, -2.0, 1e-7, -1e20]).map(literal)
LEAVES = st.sampled_from([w, x, y])
BINARY = [
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a * b,
    lambda a, b: a / b,
    lambda a, b: a**b,
    ops.less,
    ops.maximum,
]
UNARY = [lambda a: -(a * 1.5), lambda a: -(a + 0.5), ops.tanh, abs, ops.sigmoid]


def grow(parts):
    return st.one_of(
        st.tuples(st.sampled_from(BINARY), parts, parts).map(lambda it: it[0](it[1], it[2])),
        st.tuples(st.sampled_from(UNARY), parts).map(lambda it: it[0](it[1])),
        st.tuples(parts, st.sampled_from(["c", "d", "t1"])).map(lambda it: bl.name(*it)),
    )


class AsNodes(ast.NodeTransformer):
    """Numbers of a formula as literals, signs included, so that Python does not add them up itself; `a < b` as the
    record, for Python asks b > a first where b is a leaf."""

    def visit_UnaryOp(self, node):
        if isinstance(node.operand, ast.Constant):
            return self.visit_Constant(ast.Constant(-node.operand.value))
        return self.generic_visit(node)

    def visit_Compare(self, node):
        arguments = [self.visit(node.left), self.visit(node.comparators[0])]
        return ast.Call(ast.Name("less", ast.Load()), arguments, [])

    def visit_Constant(self, node):
        call = ast.Call(ast.Name("literal", ast.Load()), [ast.Constant(float(node.value))], [])
        return ast.fix_missing_locations(ast.copy_location(call, node))


def typed(text, names):
    tree = ast.fix_missing_locations(AsNodes().visit(ast.parse(text, mode="eval")))
    return eval(compile(tree, "formula", "eval"), names)


@given(st.recursive(st.one_of(LEAVES, NUMBERS), grow, max_leaves=12))
def test_a_printed_formula_means_the_same_when_typed(node):
    """The lines, typed in again, build the very same node: brackets and order are right."""
    names = {name: getattr(ops, name) for name in ("maximum", "tanh", "absolute", "sigmoid", "less")}
    names |= {"w": w, "x": x, "y": y, "literal": literal}
    *lines, last = str(node).replace("'", "_").splitlines()
    for line in lines:
        left, right = line.split(" = ", 1)
        names[left] = typed(right, names)
    assert typed(last, names) is strip_marks([node])[0]
