"""The questions that learners ask, each with the calls whose output answers it. `tools/questions.py` runs them.

A question's program may use what stands before it: `np`, `bl`, `labs`, the layers, and the small models of SETUP. Where its
last line is a Figure, that is the answer's picture; what it prints is the answer's text.
"""

from __future__ import annotations

from dataclasses import dataclass

SETUP = '''\
import numpy as np
import backlit as bl
from backlit import labs
from backlit.layers import Conv1D, Dense, Flatten

bl.random.set_seed(1)
rng = np.random.default_rng(1)
X = rng.standard_normal((200, 2))
y = (X[:, 0] * X[:, 1] > 0).astype(float)


def network(*layers, loss="mse", x=X, target=y, rate=0.02, epochs=80):
    """A small network, trained."""
    model = bl.Sequential([bl.Input(x.shape[1:]), *layers])
    model.compile(bl.optimizers.Adam(rate), loss)
    model.fit(x, target, epochs=epochs, verbose=0, doctor="off")
    return model
'''


@dataclass(frozen=True)
class Question:
    """A question, the answer in a sentence, and the program that shows it."""

    name: str
    asked: str
    answer: str
    program: str


QUESTIONS = (
    Question(
        "Q001", "Are neural networks only for classification?",
        "No: with a linear last unit and a squared loss the same network fits numbers.",
        """\
model = network(Dense(12, "relu"), Dense(1), x=X[:, :1], target=X[:, 0] ** 2)
bl.plot.curve(model, X[:, :1], X[:, 0] ** 2)""",
    ),
    Question(
        "Q002", "Is a ReLU output a probability like sigmoid's?",
        "No: it has no upper end.",
        """\
print("relu(7) =", float(bl.nn.relu(7.0)), " sigmoid(7) =", float(bl.nn.sigmoid(7.0)))
bl.plot.activations("relu", "sigmoid")""",
    ),
    Question(
        "Q003", "(The ReLU lab) What is this doing?",
        "Three units, each a bent line, are added up to follow a line with two bends.",
        """\
print(labs.find("relu").run(w1=1, b1=-1, w2=2, b2=-4))
labs.find("relu").run(w1=1, b1=-1, w2=2, b2=-4).figures["units"]""",
    ),
    Question(
        "Q004", "What is the target function? Is it a loss?",
        "The target is the line to reproduce; the loss is one number that says how far off the sum is.",
        """\
found = labs.find("relu").run().found
print("target at x = 0, 1, 2, 3:", found["target"][[0, 100, 200, 300]])
print("model there:             ", found["sum"][[0, 100, 200, 300]])
print("loss (mean squared error):", round(found["mean squared error"], 4))""",
    ),
    Question(
        "Q005", "Why does the other plot change when I move the numbers?",
        "w is the slope of a unit, and w and b together say where it switches on: at x = −b / w.",
        """\
for w1, b1 in ((1, -1), (1, -2), (2, -2)):
    found = labs.find("relu").run(w1=w1, b1=b1).found
    print(found["where each unit bends"], "| slopes of the sum", found["slopes of the sum"])""",
    ),
    Question(
        "Q006", "MNIST with softmax: what is it?",
        "A picture becomes a row of numbers, the network makes ten logits of it, softmax ten probabilities.",
        """\
outcome = labs.find("digits").run()
print(outcome)
outcome.figures["digits"]""",
    ),
    Question(
        "Q007", "Why do hidden layers use sigmoid in the logistic-regression slide?",
        "Only to show activation and loss together; other activations do as well or better.",
        """\
runs = {g: network(Dense(8, g), Dense(1, "sigmoid"), loss="binary_crossentropy") for g in ("sigmoid", "tanh", "relu")}
bl.plot.runs(runs)""",
    ),
    Question(
        "Q008", "Turning z into probabilities with softmax: is it not the same as sigmoid?",
        "A sigmoid looks at its own z alone; softmax shares 1 out among all of them.",
        """\
z = np.array([1.0, 2.0, 3.0, 4.0])
for told in (z, z + [0, 0, 0, 1]):
    shares, alone = np.asarray(bl.nn.softmax(told)), np.asarray(bl.nn.sigmoid(told))
    print("z", told, " softmax", shares.round(3), "sum", shares.sum().round(3))
    print(" " * 16, "sigmoid", alone.round(3), "sum", alone.sum().round(3))""",
    ),
    Question(
        "Q009", "Why ReLU, why a line in each picture, what are c0–c3 and the colour bar?",
        "The classes are c0 to c3, the colour is the unit's output, and the line is where it switches on.",
        """\
labs.find("multiclass").run().figures["layer 1"]""",
    ),
    Question(
        "Q010", 'What does "output is 0" mean: the axis?',
        "No: it is the unit's a that is 0, on one whole side of its line.",
        """\
found = labs.find("multiclass").run().found
trace = found["model"].trace(found["X"][:1], found["y"][:1])
for name in ("Z1", "A1"):
    print(name, np.asarray(trace[name].value).round(3))""",
    ),
    Question(
        "Q011", "Is the unit's output z(w, x, b), with colour its size?",
        "Yes where z is above 0; elsewhere the output is 0.",
        """\
found = labs.find("multiclass").run().found
bl.plot.units(found["model"], found["X"], found["y"], layer="L1", of="z")""",
    ),
    Question(
        "Q012", "So where z < 0 it is not this unit's business?",
        "So it is: it adds nothing there. The share of examples of each class that a unit is on for:",
        """\
found = labs.find("multiclass").run().found
for unit in (0, 1):
    print(f"unit {unit}:", found[f"share of each class that unit {unit} is on for"].round(2))""",
    ),
    Question(
        "Q013", "Layer 2: why do the classes sit differently, two on the axes and one at (0, 0)?",
        "The axes are now the two units of layer 1; a class for which both are off lies at (0, 0).",
        """\
outcome = labs.find("multiclass").run()
print("points with both units off:", outcome.found["points where both units are off"])
outcome.figures["layer 2"]""",
    ),
    Question(
        "Q014", "If layer 1 splits the plane into four already, why a layer 2?",
        "Layer 1 gives two numbers, not classes: layer 2 makes a logit for every class of them.",
        """\
found = labs.find("multiclass").run().found
A1 = bl.Model(found["model"].inputs, found["model"].get_layer("L1").output)(found["X"][:4].astype("float32"))
print("what layer 1 says:", "\\n", np.asarray(A1).round(2))
print("what layer 2 makes of it:", "\\n", found["model"].predict(found["X"][:4], verbose=0).round(1))
print("the classes:", found["y"][:4])""",
    ),
    Question(
        "Q015", "How do I know that softmax was used?",
        "`explain` says where: in the last layer, or inside of the loss.",
        """\
model = bl.Sequential([bl.Input((2,)), Dense(4)])
model.compile("adam", bl.losses.SparseCategoricalCrossentropy(from_logits=True))
print(str(model.explain()).split("output\\n")[1].split("\\n\\n")[0])""",
    ),
    Question(
        "Q016", "When predicting, must I apply softmax?",
        "For probabilities yes, if the last layer is linear; for the class no.",
        """\
found = labs.find("multiclass").run().found
print("logits ", found["logits of the first point"], "argmax", found["logits of the first point"].argmax())
print("softmax", found["their softmax"], "argmax", found["their softmax"].argmax())""",
    ),
    Question(
        "Q017", "Does back-propagation compute w and b from a given J, with x the variable?",
        "No: x and y stay; it gives dJ/dw and dJ/db, by which the optimizer moves w and b.",
        """\
w, b = bl.variable(2.0, name="w"), bl.variable(8.0, name="b")
x, y = bl.constant(-2.0, name="x"), bl.constant(2.0, name="y")
c = bl.name(w * x, "c")
a = bl.name(c + b, "a")
d = bl.name(a - y, "d")
print(bl.trace(d**2 / 2))""",
    ),
    Question(
        "Q018", "n nodes, p parameters: four and two here?",
        "Yes: c, a, d and J are the nodes, w and b the parameters.",
        """\
print(labs.find("backprop").run().found["trace"].counts)""",
    ),
    Question(
        "Q019", "Does the graph reduce everything to + − × ÷?",
        "To steps whose derivative is known; and each derivative is used again by those to its left.",
        """\
for step in labs.find("backprop").run().found["trace"].backward:
    print(f"dJ/d{step.name} = {step.formula} = {float(step.derivative):g}, from {', '.join(step.reuses) or 'nothing'}")""",
    ),
    Question(
        "Q020", "What are sympy's symbols?",
        "Names in place of numbers; the trace asks sympy for the derivative and puts the numbers in.",
        """\
w = bl.variable(3.0, name="w")
print(bl.trace(w**2).symbolic("w"))
print(bl.trace(w**2).nudge("w", [0.1, 0.01, 0.001]))""",
    ),
    Question(
        "Q021", "Why learn the concepts if the library does it all?",
        "To see what went wrong when something does. One step of training, opened:",
        """\
model = network(Dense(2, "tanh"), Dense(1, "sigmoid"), loss="binary_crossentropy", epochs=1)
print(model.trace(X[:1], y[:1]))""",
    ),
    Question(
        "Q022", "What is the function from input to output, the loss, the minimiser?",
        "The network is the function, the loss says how far off it is, the optimizer lowers it: `explain` names all three.",
        """\
model = network(Dense(3, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy", epochs=1)
for part in str(model.explain()).split("\\n\\n"):
    if part.split()[0] in ("network", "training"):
        print(part)""",
    ),
    Question(
        "Q023", "Where does the name binary cross-entropy come from?",
        "From statistics, and from labels that are 0 or 1: one branch for each.",
        """\
bl.plot.loss("binary_crossentropy", at=0.7)""",
    ),
    Question(
        "Q024", "How does the output activation depend on y?",
        "0 or 1: sigmoid; one of k classes: softmax; any number: linear; none below 0: ReLU. `backlit fit` chooses so:",
        """\
from backlit.io.bundled import load
from backlit.train import recipe
for name in ("breast_cancer", "iris", "diabetes"):
    data = load(name)
    print(f"{name:<14}", ": ".join(recipe.decide(data)))
    for choice in recipe.build(recipe.prepare(data), recipe.Options())[1]:
        if choice.what in ("output", "loss"):
            print(f"  {choice.what:<6} {choice.which}")""",
    ),
    Question(
        "Q025", "Which hidden activation, and why?",
        "ReLU is cheap and flat on one side only; the same network with four of them:",
        """\
runs = {g: network(Dense(8, g), Dense(1, "sigmoid"), loss="binary_crossentropy") for g in ("sigmoid", "tanh", "relu", "leaky_relu")}
bl.plot.runs(runs)""",
    ),
    Question(
        "Q026", "What happens if every activation is linear?",
        "The layers collapse into one.",
        """\
print(labs.find("collapse").run())
labs.find("collapse").run().figures["fits"]""",
    ),
    Question(
        "Q027", "The probability that y = 1, 2, 3 or 4?",
        "Softmax gives all four, and they add up to 1.",
        """\
bl.plot.softmax([1.0, 2.0, 3.0, 4.0])""",
    ),
    Question(
        "Q028", "If P(y = 1) is 0.71, what is P(y = 0)?",
        "What is left of 1.",
        """\
z = np.log(0.71 / 0.29)
print("z =", z.round(3), " P(y = 1) =", round(float(bl.nn.sigmoid(z)), 2), " P(y = 0) =", round(1 - float(bl.nn.sigmoid(z)), 2))""",
    ),
    Question(
        "Q029", "Cars? Buses? Pedestrians? How is that built?",
        "A vector of three labels, three sigmoids, a threshold for each.",
        """\
labels = np.stack([X[:, 0] > 0, X[:, 1] > 0, X.sum(1) > 0], axis=1).astype(float)
model = network(Dense(8, "relu"), Dense(3, "sigmoid"), loss="binary_crossentropy", target=labels)
for example in (0, 1, 2):
    p = model.predict(X[example : example + 1], verbose=0)[0]
    print("probabilities of car, bus, pedestrian", p.round(2), " above 0.5:", (p > 0.5).astype(int), " labels", labels[example])""",
    ),
    Question(
        "Q030", "Can the learning rate grow or shrink by itself?",
        "Adam gives each parameter a step of its own size.",
        """\
w, b = bl.variable(-3.0, name="w"), bl.variable(-2.0, name="b")
bl.plot.descent(10 * w**2 + b**2, w, b)""",
    ),
    Question(
        "Q031", "Why not let each unit see all pixels?",
        "It costs parameters, 943 here in place of 31 or 211. Of few examples windows learn more, of many the 943 do:",
        """\
for beats in (40, 480):
    outcome = labs.find("ekg").run(examples=beats)
    for kind in ("shared", "unshared", "dense"):
        right = outcome.found[f"{kind}: right on new beats, three seeds"].mean()
        print(f"{beats:>3} beats, {kind:<8} {outcome.found[f'{kind}: parameters']:>3} parameters: {right:.3f} of new beats right")
outcome.figures["windows"]""",
    ),
    Question(
        "Q032", "How does back-propagation actually work?",
        "Right to left, each derivative from the one before it.",
        """\
w1, b1, w2, b2 = (bl.variable(v, name=n) for v, n in ((2.0, "w1"), (0.0, "b1"), (3.0, "w2"), (1.0, "b2")))
a1 = bl.name(bl.ops.relu(w1 * 1.0 + b1), "a1")
a2 = bl.name(bl.ops.relu(w2 * a1 + b2), "a2")
print(bl.trace(bl.name((a2 - 5.0) ** 2 / 2, "J")))""",
    ),
    Question(
        "Q033", "If w grows by 0.001, what does J do? And for another ε?",
        "It grows by about 6 times as much, the nearer to 6 the smaller ε.",
        """\
w = bl.variable(3.0, name="w")
print(bl.trace(w**2).nudge("w", [0.01, 0.002, 0.001, 1e-6]))""",
    ),
    Question(
        "Q034", "What does gradient descent do with large and small derivatives?",
        "Its step is in proportion to them.",
        """\
w = bl.variable(3.0, name="w")
bl.plot.slope(w**2, w, rate=0.1)""",
    ),
    Question(
        "Q035", "How do I find dJ/dw and dJ/db, dJ/dd, dJ/da, dJ/dc?",
        "Nudge any of them and watch what lies downstream.",
        """\
trace = labs.find("backprop").run().found["trace"]
for name in ("d", "a", "c", "b", "w"):
    print(name, "ratio", round(trace.nudge(name, 0.001).ratio, 4), " derivative", float(trace.slope(trace.node(name))))""",
    ),
    Question(
        "Q036", "Why back-propagation instead of nudging each parameter?",
        "It costs n + p steps, not n · p. Measured on a network 2-25-15-1:",
        """\
model = network(Dense(25, "relu"), Dense(15, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy", epochs=1)
print(model.trace(X[:1], y[:1]).counts)""",
    ),
    Question(
        "Q037", "What is a neural network?",
        "Units such as max(0, w x + b), side by side and one after the other. One of them on prices of houses:",
        """\
area, price = np.array([[0.6], [0.9], [1.1], [1.5], [1.9], [2.3]]), np.array([0.1, 0.5, 0.8, 1.5, 2.1, 2.6])
model = network(Dense(1, "relu", kernel_initializer="ones"), x=area, target=price, epochs=400)
bl.plot.curve(model, area, price)""",
    ),
    Question(
        "Q038", "Why is the loss −y log ŷ − (1 − y) log(1 − ŷ)?",
        "It is a bowl where the squared error of a sigmoid is not.",
        """\
bl.plot.convexity(X[:, :1], (X[:, 0] > 0).astype(float))""",
    ),
    Question(
        "Q039", "What happens if y = 1, or y = 0?",
        "Only one branch is left, which pushes ŷ towards y.",
        """\
print("y = 1:", {p: round(float(-np.log(p)), 3) for p in (0.1, 0.5, 0.99)})
print("y = 0:", {p: round(float(-np.log(1 - p)), 3) for p in (0.1, 0.5, 0.99)})""",
    ),
    Question(
        "Q040", "Which feature, row or column does axis=0 sum?",
        "It sums over the rows, downwards: one number is left for each column.",
        """\
A = np.array([[56.0, 0.0, 4.4, 68.0], [1.2, 104.0, 52.0, 8.0], [1.8, 135.0, 99.0, 0.9]])
print(A.shape, "→", A.sum(axis=0).shape, A.sum(axis=0), "and axis=1:", A.sum(axis=1).shape, A.sum(axis=1).round(1))""",
    ),
    Question(
        "Q041", "Can it be done without a loop? How can 3×4 be divided by 1×4?",
        "The row counts for every row, as if it were copied down: broadcasting.",
        """\
labs.find("broadcasting").run().figures["calories"]""",
    ),
    Question(
        "Q042", "Why does (n,) go wrong?",
        "It is neither a row nor a column, and meets a column as a row.",
        """\
a = np.arange(3.0)
print("a", a.shape, " a.T", a.T.shape, " a @ a.T", np.dot(a, a.T), " a − column", (a - a[:, None]).shape)
try:
    network(Dense(1), x=X[:3], target=np.ones((3, 3)), epochs=1)
except bl.BacklitError as error:
    print(error)""",
    ),
    Question(
        "Q043", "What shape is everything?",
        "The table of shapes, for one example and for m.",
        """\
print(network(Dense(4, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy", epochs=1).shapes())""",
    ),
    Question(
        "Q044", "Why 0.01 rather than 100?",
        "Large weights saturate sigmoid and tanh, and nothing is left to learn by.",
        """\
labs.find("initialisation").run().figures["beginnings"]""",
    ),
    Question(
        "Q045", "Why not all zeros?",
        "Units that begin equal stay equal.",
        """\
found = labs.find("initialisation").run().found
for key in list(found)[1:4]:
    print(f"{key:<52} {found[key]:.4f}")""",
    ),
    Question(
        "Q046", "Why deep? What does a deep network compute?",
        "Simple features first, combinations of them later. What the first layer looks for in digits:",
        """\
labs.find("digits").run().figures["first layer"]""",
    ),
    Question(
        "Q047", "What are hyper-parameters, and how do I find good values?",
        "What is chosen before training: try, compare, choose again.",
        """\
runs = {}
for rate in (0.001, 0.01, 0.1):
    runs[f"α = {rate:g}"] = network(Dense(8, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy", rate=rate)
bl.plot.runs(runs)""",
    ),
    Question(
        "Q048", "Which type of network for which data?",
        "Tables: dense layers. Signals and images: windows (Conv1D, Conv2D). Sequences of words: Embedding.",
        """\
model = bl.Sequential([bl.Input((100, 1)), Conv1D(1, 20, strides=10, activation="relu"), Flatten(), Dense(1)])
model.compile("adam", bl.losses.BinaryCrossentropy(from_logits=True))
print(str(model.explain()).split("network\\n")[1].split("\\n\\n")[0])""",
    ),
    Question(
        "Q049", "Can two-class classifiers be chained for four classes?",
        "Yes, with one model for each class; softmax needs one in all.",
        """\
found = labs.find("multiclass").run().found
X4, y4, each = found["X"], found["y"], []
for c in range(4):
    mine = (y4 == c).astype(float)
    each.append(network(Dense(2, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy", x=X4, target=mine))
chances = np.hstack([model.predict(X4, verbose=0) for model in each])
print("four models,", sum(model.count_params() for model in each), "parameters, right:", (chances.argmax(1) == y4).mean())
print("one model with softmax, 18 parameters, right:", found["right, best of ten"])""",
    ),
    Question(
        "Q050", "Why not plain linear regression all the time, or a stack of linear ones?",
        "A stack of them is one of them.",
        """\
found = labs.find("collapse").run().found
for key in ("deep and linear", "least squares", "ReLU"):
    key = f"mean squared error, {key}"
    print(f"{key:<40} {found[key]:.3g}")""",
    ),
    Question(
        "Q051", "Can softmax with two outputs replace the logistic function?",
        "Yes: only z1 − z2 matters.",
        """\
for z in ((0.7, -0.4), (1.7, 0.6)):
    shares = np.asarray(bl.nn.softmax(np.array(z))).round(5)
    print("z", z, " softmax", shares, " σ(z1 − z2)", round(float(bl.nn.sigmoid(z[0] - z[1])), 5))""",
    ),
    Question(
        "Q052", "Why is 2/10000 computed in two ways different?",
        "A difference of nearly equal numbers keeps few digits.",
        """\
print(labs.find("roundoff").run())""",
    ),
    Question(
        "Q053", "Does the number of epochs matter, and when to stop?",
        "Yes: stop when the loss on held-out examples no longer falls.",
        """\
model = bl.Sequential([bl.Input((2,)), Dense(64, "relu"), Dense(64, "relu"), Dense(1)])
model.compile(bl.optimizers.Adam(0.01), bl.losses.BinaryCrossentropy(from_logits=True))
noisy = np.where(rng.random(200) < 0.2, 1 - y, y)
bl.plot.history(model.fit(X, noisy, validation_split=0.3, epochs=80, verbose=0, doctor="off"))""",
    ),
    Question(
        "Q054", "One example, a batch, or a mini-batch?",
        "Few examples a step: more steps an epoch, noisier ones.",
        """\
for batch in (1, 20, 200):
    model = bl.Sequential([bl.Input((2,)), Dense(8, "relu"), Dense(1)])
    model.compile(bl.optimizers.SGD(0.05), bl.losses.BinaryCrossentropy(from_logits=True))
    history = model.fit(X, y, batch_size=batch, epochs=20, verbose=0, doctor="off")
    print(f"batch {batch:>3}: {200 // batch:>3} steps an epoch, loss after 20 epochs {history.history['loss'][-1]:.3f}")""",
    ),
    Question(
        "Q055", "Do the two lines give the same?",
        "Yes, as one can let the program say.",
        """\
w = bl.variable(3.0, name="w")
one, two = bl.grad(w**2, w), 2 * w
print(float(one.value), float(two.value), "equal:", float(one.value) == float(two.value))""",
    ),
    Question(
        "Q056", "What if I use squared error in logistic regression?",
        "The surface is flat where one is wrong: at w = −6 its slope is −0.0025, the cross-entropy's −0.9975.",
        """\
w = bl.variable(-6.0, name="w")
a = bl.ops.sigmoid(w * 1.0)
for name, J in {"squared error": (a - 1.0) ** 2 / 2, "cross-entropy": -bl.ops.log(a)}.items():
    print(name, "slope", round(float(bl.grad(J, w).value), 4))""",
    ),
    Question(
        "Q057", "What does each hidden unit see or stand for?",
        "The inputs that excite it most say so.",
        """\
found = labs.find("digits").run().found
bl.plot.top(found["model"], found["X"], layer="L1", unit=16, shape=(8, 8))""",
    ),
    Question(
        "Q058", "Would more data help?",
        "Where the curve still rises, yes.",
        """\
from sklearn.linear_model import LogisticRegression

def sized(units):
    model = bl.Sequential([bl.Input((64,)), Dense(units, "relu"), Dense(10)])
    model.compile(bl.optimizers.Adam(0.003), bl.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model
found = labs.find("digits").run().found
models = {"4 units": lambda: sized(4), "32 units": lambda: sized(32)}
bl.plot.learning_curve(models, found["X"], found["y"], baseline=LogisticRegression(max_iter=1000))""",
    ),
)  # fmt: skip
