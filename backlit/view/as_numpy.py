"""A network as a plain NumPy program: forward, cost, backward and update, as one would write them by hand."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..core import registry
from ..core.node import Leaf, Node
from ..core.shapes import Rows, show
from ..core.show import text
from ..core.walk import rebuild, topological
from .as_numpy_arrays import Arrays
from .as_numpy_first import drawn, first_values
from .as_numpy_loops import Loops
from .as_numpy_update import Trained, Update
from .as_numpy_words import WIDEST, Words, doc_lines, is_part, one_line
from .equations import backward
from .forward import Line, Pages, pages, trains
from .kinds import parts
from .words import gist, said


class NumpyProgram:
    """A model as a NumPy program. `str` is its text; `parameters` are the model's weights by the program's names."""

    def __init__(self, model: Any, form: str = "vectorised", columns: bool = False):
        writer = _Writer(model, form, columns)
        self.name, self.form, self.columns = model.name, form, columns
        self._text = writer.text()
        self._own = {name: own for own, name in writer.parameters.items()}

    def __str__(self) -> str:
        return self._text

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self._text)}</pre>"

    @property
    def parameters(self) -> dict[str, Any]:
        """The model's weights now, as `initialize(weights=...)` takes them: float64, turned where examples are columns."""
        arrays = {name: np.array(own.array, np.float64) for name, own in self._own.items()}
        return {name: _turned(array) for name, array in arrays.items()} if self.columns else arrays

    def save(self, path: Any) -> None:
        """Write the program to a file."""
        Path(path).write_text(self._text, encoding="utf-8")


def _turned(array: Any) -> Any:
    return array.T.copy() if array.ndim == 2 else array.reshape(*array.shape, 1) if array.ndim == 1 else array


@dataclass(frozen=True)
class _Function:
    """A function of the program: `args` are what it is called with, `known` the symbols that are its arguments."""

    name: str
    args: str
    doc: str
    known: Mapping[Leaf, str]
    lines: Sequence[Line]
    ends: Sequence[str]


class _Writer:
    """Writes the functions of a program, one after the other."""

    def __init__(self, model: Any, form: str, columns: bool):
        self.model, self.form, self.columns = model, form, columns
        self.words = Words(form)
        self.pages = pages(model, columns, writes=True)
        self.forward = list(self.pages.lines)
        self.down = backward(model, self.pages)
        self.predicting = pages(model, columns, training=False) if trains(model) else None
        self.code = (Loops if form == "loops" else Arrays)(self.words, self.pages.m)
        self.parameters: dict[Leaf, str] = {}  # the model's own weights, and their names
        self.layers = {layer.name: layer for layer in parts(model)}
        self._name_all()

    def _name_all(self) -> None:
        """Names for all symbols of the training, so that no part of a formula takes one."""
        page = self.pages
        for leaf in page.inputs:
            self.words.name(leaf)
        for symbol, own in page.weights.items():
            self.parameters[own] = self.words.name(symbol)
        lines = [*page.lines, *((*self.down.given, *self.down.cost, *self.down.lines) if self.down else ())]
        for leaf in [*page.draws, *(self.down.y if self.down else ()), *(line.symbol for line in lines)]:
            if not is_part(leaf):
                self.words.name(leaf)
        if self.predicting is not None:
            self._name_predicting(self.predicting)

    def _name_predicting(self, page: Pages) -> None:
        """The same names for the same values while the model predicts."""
        by_name = {str(leaf.name): name for leaf, name in self.words.names.items()}
        for symbol, own in page.weights.items():
            if own not in self.parameters:
                self.parameters[own] = self.words.name(symbol)
            self.words.names[symbol] = self.parameters[own]
        for leaf in (*page.inputs, *(line.symbol for line in page.lines)):
            if str(leaf.name) in by_name and not is_part(leaf):
                self.words.names[leaf] = by_name[str(leaf.name)]
        self.words.names[page.m] = "m"

    # ------------------------------------------------------------------ the program
    def text(self) -> str:
        """All of it."""
        page = self.pages
        functions = [self._forward(), *self._predict()]
        if self.down is not None:
            functions += [self._cost(), self._backward()]
        functions += [self._remember()] if page.writes else []
        functions = [self._merged(each, functions) for each in functions]
        cached = self._cached(functions)
        for leaf in cached:
            self.words.name(leaf)
        texts = ["\n".join(self._initialize()), *(["\n".join(self._draw())] if page.draws else [])]
        texts += ["\n".join(self._function(each, cached)) for each in functions]
        if self.down is not None:
            texts += self._training()
        head = [*self._header(), "", *(["import math", ""] if self.words.needs_math else []), "import numpy as np"]
        if self.words.constants:
            head += ["", *self.words.constants.values()]
        return "\n\n\n".join(["\n".join(head), *self.words.helpers.values(), *texts]) + "\n"

    def _header(self) -> list[str]:
        turned = "columns" if self.columns else "rows"
        loops = ", written as loops" if self.form == "loops" else ""
        told = [f"{self.model.name}: forward, cost, backward and update in NumPy{loops}."]
        told[0] = told[0] if self.down else f"{self.model.name}: the way forward in NumPy{loops}."
        told += ["", f"The examples are {turned}, m of them; everything is float64."]
        if self.down is None:
            why = "The model is not compiled" if trains(self.model) else "Code that the model is made of is not here"
            told.append(f"{why}: no cost, no way back.")
        else:
            by = "m times " if self.down.mean else ""
            told.append(
                f"dZ, dA, ... are {by}the derivatives of the cost J by Z, A, ...; dW, db, ... those by W, b, ..."
            )
            for name, loss in self.down.losses.items():
                told += textwrap.wrap(f"{name} is {loss!r}: {gist(loss)}", WIDEST - 4)
            first, *more = self._xs(self.pages).values()
            given = ", ".join([first, *more])
            learnt = f"parameters = train(initialize(), {', '.join([given, *self._targets().values()])})"
            outputs = "predict(parameters, " if self._predict() else "forward(parameters, "
            told += ["", f"    {learnt}", f"    {outputs}{given})" + ("" if self._predict() else "[0]")]
        told = [line.replace("\\", "\\\\").replace('"""', "'''") for line in told]
        return [f'"""{told[0]}', *told[1:], '"""']

    # ------------------------------------------------------------------ one function
    def _function(self, function: _Function, cached: Sequence[Leaf]) -> list[str]:
        """Its text: what it reads, its lines, what it gives back."""
        made = {line.symbol for line in function.lines}
        read = [leaf for leaf in self._read(function) if leaf not in made and leaf not in function.known]
        before = set(self.words.taken)
        body: list[str] = []
        layer = ""
        for line in function.lines:
            self.words.layer = line.layer
            if line.layer and line.layer != layer:
                body.append(f"# {one_line(self._layer(line.layer))}")
            layer = line.layer
            comment = (
                ""
                if self.form == "loops" or line.symbol.shape == ()
                else show(line.symbol.shape) + (f"  {line.note}" if line.note else "")
            )
            body += self.code.lines(self.words.name(line.symbol), line.formula, comment)
        self.words.forget_parts(before)
        ends = [end.replace("CACHE", self._cache(cached)) for end in function.ends]
        head = [f"def {function.name}({function.args}):", *_indented(doc_lines(function.doc))]
        opening = [*self._unpacked(read, function), *self._counted(function, read, [*body, *ends])]
        return [*head, *_indented([*opening, *body, *ends])]

    def _merged(self, function: _Function, functions: Sequence[_Function]) -> _Function:
        """The function without the lines of parts that one other line alone reads, and that fit into it."""
        elsewhere = {leaf for other in functions if other is not function for leaf in self._read(other)}
        parts = {line.symbol for line in function.lines if is_part(line.symbol) and line.symbol not in elsewhere}
        formulas = dict(self.code.merged([(line.symbol, line.formula) for line in function.lines], parts))
        lines = [replace(line, formula=formulas[line.symbol]) for line in function.lines if line.symbol in formulas]
        return replace(function, lines=lines)

    def _read(self, function: _Function) -> list[Leaf]:
        leaves = [node for line in function.lines for node in topological([line.formula]) if isinstance(node, Leaf)]
        return [leaf for leaf in dict.fromkeys(leaves) if leaf.array is None]

    def _unpacked(self, read: Iterable[Leaf], function: _Function) -> list[str]:
        """The lines that fetch what a function reads."""
        order = list(self.words.names.values())
        told = []
        held: dict[str, list[str]] = {"parameters": [], "draws": [], "cache": []}
        for leaf in read:
            name = self.words.name(leaf)
            drawn = leaf in self.pages.draws and function.name == "forward"
            holder = "parameters" if name in self.parameters.values() else "draws" if drawn else "cache"
            held[holder] += [name] if name != "m" else []
        for holder, own in held.items():
            for some in _rows(sorted(own, key=order.index), len(holder) + 8):
                told.append(", ".join(some) + " = " + ", ".join(f'{holder}["{name}"]' for name in some))
        return told

    def _counted(self, function: _Function, read: Sequence[Leaf], body: Sequence[str]) -> list[str]:
        """m, where it is read."""
        if not any(re.search(r"\bm\b", line.partition("#")[0]) for line in body):
            return []
        for leaf in (*function.known, *read):
            for axis, dim in enumerate(leaf.shape):
                if dim == Rows():
                    name = self.words.name(leaf)
                    return [f"m = len({name})" if axis == 0 else f"m = {name}.shape[{axis}]"]
        return []

    def _layer(self, name: str) -> str:
        layer = self.layers.get(name)
        return name if layer is None else f"{name}: {said(layer)}"

    def _cached(self, functions: Sequence[_Function]) -> list[Leaf]:
        """What forward keeps: every Z and A, and what the other functions read beside them."""
        here, later = functions[0], [f for f in functions[1:] if f.name != "predict"]
        made = [line.symbol for line in here.lines]
        read = {leaf for f in later for leaf in self._read(f)}
        kept = [leaf for leaf in (*here.known, *self.pages.draws) if leaf in read]
        return kept + [leaf for leaf in made if leaf in read or not is_part(leaf)]

    def _cache(self, cached: Sequence[Leaf]) -> str:
        entries = [f'"{self.words.name(leaf)}": {self.words.name(leaf)}' for leaf in cached]
        text = "{" + ", ".join(entries) + "}"
        if len(text) < WIDEST - 16:
            return text
        return "{\n" + textwrap.indent("\n".join(textwrap.wrap(", ".join(entries) + ",", WIDEST - 8)), "    ") + "\n}"

    # ------------------------------------------------------------------ forward, cost, backward
    def _xs(self, page: Pages) -> dict[Leaf, str]:
        return {leaf: self.words.name(leaf) for leaf in page.inputs}

    def _result(self, page: Pages) -> str:
        return ", ".join(self.words.name(leaf) for leaf in page.outputs)

    def _forward(self) -> _Function:
        page = self.pages
        args = ["parameters", *self._xs(page).values(), *(["draws"] if page.draws else [])]
        what = "the outputs" if len(page.outputs) > 1 else "the output"
        doc = f"From X to {what}, as while training; and a cache of what the way back reads."
        result = self._result(page) if len(page.outputs) == 1 else f"({self._result(page)})"
        return _Function(
            "forward", ", ".join(args), doc, self._xs(page), page.lines, ["cache = CACHE", f"return {result}, cache"]
        )

    def _predict(self) -> list[_Function]:
        """The forward pass of a model that predicts in another way than it trains."""
        page = self.predicting
        if page is None or [_plain(line) for line in page.lines] == [_plain(line) for line in self.forward]:
            return []
        args = ", ".join(["parameters", *self._xs(page).values()])
        doc = "From X to the output, as while predicting: nothing is drawn, and what the layers keep takes its place."
        if not self.pages.writes:
            doc = "From X to the output, as while predicting: nothing is drawn."
        return [_Function("predict", args, doc, self._xs(page), page.lines, [f"return {self._result(page)}"])]

    def _targets(self) -> dict[Leaf, str]:
        assert self.down is not None
        return {leaf: self.words.name(leaf) for leaf in self.down.y}

    def _given(self, lines: Sequence[Line]) -> list[Line]:
        """The lines for what is made of the targets, where these lines read it, and these lines."""
        assert self.down is not None
        known: dict[Node, Node] = {line.formula: line.symbol for line in self.down.given}
        new = [Line(line.symbol, rebuild([line.formula], start=known)[0], line.layer, line.note) for line in lines]
        read = {node for line in new for node in topological([line.formula])}
        return [*(line for line in self.down.given if line.symbol in read), *new]

    def _cost(self) -> _Function:
        assert self.down is not None
        lines = self._given(self.down.cost)
        args = ", ".join(["parameters", "cache", *self._targets().values()])
        doc = f"J = {self.down.cost[-1].said}: one number for all examples."
        return _Function("cost", args, doc, self._targets(), lines, [f"return {self.words.name(lines[-1].symbol)}"])

    def _backward(self) -> _Function:
        assert self.down is not None
        lines = self._given(self.down.lines)
        gradients = {f"d{leaf.name}": line for leaf in self.pages.trained for line in [leaf]}
        made = {str(line.symbol.name): line.symbol for line in lines}
        entries = [
            f'"d{self.words.name(own)}": {self.words.name(made[name])}'
            for name, own in gradients.items()
            if name in made
        ]
        order = {f'"d{name}"': place for place, name in enumerate(self.parameters.values())}
        entries.sort(key=lambda entry: order[entry.partition(":")[0]])
        self.gradients = [entry.partition(":")[0].strip('"')[1:] for entry in entries]
        returned = "return {" + ", ".join(entries) + "}"
        if len(returned) > WIDEST - 4:
            wrapped = textwrap.wrap(", ".join(entries) + ",", WIDEST - 8)
            returned = "return {\n" + textwrap.indent("\n".join(wrapped), "    ") + "\n}"
        args = ", ".join(["parameters", "cache", *self._targets().values()])
        doc = "The derivative of the cost by every parameter that is trained."
        return _Function("backward", args, doc, self._targets(), lines, [returned])

    def _remember(self) -> _Function:
        """What the layers keep for predicting."""
        lines = []
        for own, new in self.pages.writes.items():
            symbol = next(leaf for leaf, each in self.pages.weights.items() if each is own)
            kept = self.pages.symbol(f"new_{symbol.name}", symbol)
            lines.append(Line(kept, new, str(own.name).rpartition("/")[0]))
            self.words.name(kept)
        entries = ", ".join(
            f'"{self.parameters[own]}": {self.words.name(line.symbol)}'
            for own, line in zip(self.pages.writes, lines, strict=True)
        )
        doc = "What the layers keep for predicting, after this batch."
        return _Function("remember", "parameters, cache", doc, {}, lines, [f"return {{{entries}}}"])

    # ------------------------------------------------------------------ parameters and training
    def _initialize(self) -> list[str]:
        doc = "First values, drawn as the layers' initializers say; `weights` has values to take in their place."
        rows = [first_values(self.model, own, name, self.words, self.columns) for own, name in self.parameters.items()]
        random = any("rng" in row for row in rows)
        return [
            "def initialize(seed=0, weights=None):",
            *_indented(doc_lines(doc)),
            *(["    rng = np.random.default_rng(seed)"] if random else []),
            "    parameters = {",
            *(f"        {row}" for row in rows),
            "    }",
            "    return {**parameters, **(weights or {})}",
        ]

    def _draw(self) -> list[str]:
        rows = [
            f'    "{self.words.name(leaf)}": {drawn(leaf, node, self.words)},'
            for leaf, node in self.pages.draws.items()
        ]
        return [
            "def draw(rng, m):",
            '    """The random numbers of one training step of m examples."""',
            "    return {",
            *(f"    {row}" for row in rows),
            "    }",
        ]

    def _training(self) -> list[str]:
        model, slots = self.model, self.model.slots()
        constraints = model.constraints()
        named = {name: own for own, name in self.parameters.items()}
        trained = [
            Trained(name, named[name], slots.get(named[name], {}), constraints.get(named[name]))
            for name in self.gradients
        ]
        update = Update(model.optimizer, trained, Arrays(Words(), self.pages.m), self.columns)
        update.words.helpers = self.words.helpers
        return ["\n".join(update.start()), "\n".join(update.update()), "\n".join(self._train(model.optimizer))]

    def _train(self, optimizer: Any) -> list[str]:
        """The loop over epochs and batches."""
        xs, ys = list(self._xs(self.pages).values()), list(self._targets().values())
        rate = float(optimizer.learning_rates(0, 1)[0])
        pick = {
            self.words.name(leaf): f"{self.words.name(leaf)}[{', '.join([':'] * leaf.shape.index(Rows()) + ['rows'])}]"
            for leaf in (*self.pages.inputs, *self._targets())
        }
        many = f"{xs[0]}.shape[1]" if self.columns else f"len({xs[0]})"
        given = ", ".join(pick[x] for x in xs) + (", draw(rng, len(rows))" if self.pages.draws else "")
        wanted = ", ".join(pick[y] for y in ys)
        doc = "Steps on batches of shuffled examples; gives back the trained parameters."
        follows = optimizer.schedule is not None
        if follows:
            doc += f" The model's rate follows {optimizer.schedule!r}: learning_rate may be a function of the step, from 0."
        lines = ["rng = np.random.default_rng(seed)", "state = start(parameters)", *(["step = 0"] if follows else [])]
        lines += ["for epoch in range(epochs):", f"    order = rng.permutation({many})"]
        lines += [f"    for first in range(0, {many}, batch_size):"]
        body = ["rows = order[first : first + batch_size]", f"outputs, cache = forward(parameters, {given})"]
        cost = "J" if "J" not in (*xs, *ys) else "J_now"
        body += [f"{cost} = cost(parameters, cache, {wanted})", f"gradients = backward(parameters, cache, {wanted})"]
        body += ["kept = remember(parameters, cache)"] if self.pages.writes else []
        body += ["rate = learning_rate(step) if callable(learning_rate) else learning_rate"] if follows else []
        body.append(
            f"parameters, state = update(parameters, gradients, state, {'rate' if follows else 'learning_rate'})"
        )
        body += ["parameters = {**parameters, **kept}"] if self.pages.writes else []
        body += ["step += 1"] if follows else []
        lines += [f"        {line}" for line in body]
        lines += ['    print(f"epoch {epoch + 1}: cost {' + cost + ':.6g}")']
        if optimizer.use_ema:
            lines.append(
                'parameters = {**parameters, **{name: slots["average"] for name, slots in state.items() if name != "t"}}'
            )
        args = f"parameters, {', '.join([*xs, *ys])}, epochs=10, batch_size=32, learning_rate={rate:g}, seed=0"
        return [f"def train({args}):", *_indented([*doc_lines(doc), *lines, "return parameters"])]


def _plain(line: Line) -> tuple[str, str]:
    return str(line.symbol.name), text(line.formula)


def _indented(lines: Iterable[str]) -> list[str]:
    return textwrap.indent("\n".join(lines), "    ").split("\n")


def _rows(names: Sequence[str], each: int) -> list[list[str]]:
    """Names in rows that fit a line where each is written twice, with `each` characters beside."""
    rows: list[list[str]] = []
    for name in names:
        if not rows or sum(2 * len(other) + each for other in (*rows[-1], name)) > WIDEST - 8:
            rows.append([])
        rows[-1].append(name)
    return rows


registry.register("view.as_numpy", NumpyProgram)
