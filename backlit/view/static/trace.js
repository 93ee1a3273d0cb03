"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const svg = $("diagram").querySelector("svg");
  const all = (selector) => [...svg.querySelectorAll(selector)];
  const ahead = data.forward.length;
  const total = ahead + data.back.length;
  const shownAt = new Map(data.leaves.map((name) => [name, 0]));
  data.forward.forEach((step, k) => shownAt.set(step.name, k + 1));
  const slopeAt = new Map(data.back.map((step, k) => [step.name, ahead + k + 1]));
  let at = total, timer = null, quiz = false;

  // ------------------------------------------------------------ small things
  const element = (tag, text, kind) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };
  const number = (value) => (typeof value === "number" ? value : Number(String(value).replace("inf", "Infinity")));
  const written = (value, digits = 7) => String(Number(value.toPrecision(digits)));
  const fill = (place, ...parts) => place.replaceChildren(...parts);
  const table = (rows, head) => {
    const made = element("table");
    rows.forEach((row, k) => {
      const line = made.appendChild(element("tr"));
      row.forEach((cell) => line.append(element(head && k === 0 ? "th" : "td", cell)));
    });
    return made;
  };

  // ------------------------------------------------------------ one step after the other
  function show(step) {
    at = Math.max(0, Math.min(total, step));
    const here = at === 0 ? null : at <= ahead ? data.forward[at - 1] : data.back[at - ahead - 1];
    const back = at > ahead;
    for (const each of all("[data-value], .ahead[data-at]")) {
      const name = each.dataset.value ?? each.dataset.at;
      each.classList.toggle("waiting", !quiz && (shownAt.get(name) ?? 0) > at);
      each.classList.toggle("now", !!here && !back && name === here.name);
    }
    for (const each of all("[data-slope], .back[data-back]")) {
      const name = each.dataset.slope ?? each.dataset.back;
      each.classList.toggle("waiting", !quiz && (slopeAt.get(name) ?? 0) > at);
      each.classList.toggle("now", !!here && back && (name === here.name || (here.reuses.includes(name) && each.tagName === "text")));
    }
    for (const each of all(".node")) each.classList.toggle("now", !!here && (each.dataset.node === here.name || (each.dataset.card ?? "") === here.layer && here.layer !== ""));
    $("at").value = at;
    $("count").textContent = `${at} / ${total}`;
    explain(here, back);
  }

  function explain(step, back) {
    if (quiz) return fill($("panel"), element("p", "Fill in the boxes: above an arrow the value, below it the derivative; of an array its shape."));
    if (!total) return fill($("panel"), element("p", "More steps than can be walked through one by one: open a layer, or name the values that matter."));
    if (!step) return fill($("panel"), element("h2", "Start"), element("p", "The leaves have their values. Go on with ▶ or the arrow keys; a click on an arrow nudges what runs along it."));
    const parts = [element("h2", back ? `Back: d${data.of}/d${step.name}` : `Forward: ${step.name}`), element("p", step.said)];
    if (step.note) parts.push(element("p", `In training: ${step.note}.`));
    const value = back ? step.slope : data.values[step.name];
    if (value.table) parts.push(numbers(value));
    fill($("panel"), ...parts);
  }

  const numbers = (value) => {
    const made = element("div", undefined, "scroll");
    made.append(table(value.table), element("p", `shape (${value.shape.join(", ")}${value.shape.length === 1 ? "," : ""})${value.more ? ", the first rows and columns" : ""}`));
    return made;
  };

  function play() {
    if (timer) {
      clearInterval(timer);
      timer = null;
    } else {
      if (at === total) show(0);
      timer = setInterval(() => (at === total ? play() : show(at + 1)), 900);
    }
    $("play").textContent = timer ? "⏸ pause" : "▶ play";
  }

  // ------------------------------------------------------------ numbers computed anew
  const truth = (value) => (value ? 1 : 0);
  const even = (x) => { const r = Math.round(x); return Math.abs(x % 1) === 0.5 && r % 2 ? r - 1 : r; };
  function erf(x) {
    const a = Math.abs(x);
    if (a > 6) return Math.sign(x);
    let term = a, sum = a;
    for (let n = 1; n < 400 && Math.abs(term) > 1e-17 * sum; n++) sum += (term *= (2 * a * a) / (2 * n + 1));
    return Math.sign(x) * (2 / Math.sqrt(Math.PI)) * Math.exp(-a * a) * sum;
  }
  const functions = {
    same: (a) => a, add: (a, b) => a + b, subtract: (a, b) => a - b, multiply: (a, b) => a * b, divide: (a, b) => a / b,
    power: (a, b) => a ** b, minimum: Math.min, maximum: Math.max, floor_divide: (a, b) => Math.floor(a / b),
    remainder: (a, b) => a - b * Math.floor(a / b), less: (a, b) => truth(a < b), less_equal: (a, b) => truth(a <= b),
    greater: (a, b) => truth(a > b), greater_equal: (a, b) => truth(a >= b), equal: (a, b) => truth(a === b),
    not_equal: (a, b) => truth(a !== b), logical_and: (a, b) => truth(a && b), logical_or: (a, b) => truth(a || b),
    logical_not: (a) => truth(!a), bitwise_and: (a, b) => a & b, bitwise_or: (a, b) => a | b, bitwise_xor: (a, b) => a ^ b,
    left_shift: (a, b) => a << b, right_shift: (a, b) => a >> b, negative: (a) => -a, absolute: Math.abs, sign: Math.sign,
    exp: Math.exp, expm1: Math.expm1, log: Math.log, log1p: Math.log1p, sqrt: Math.sqrt, sin: Math.sin, cos: Math.cos,
    tan: Math.tan, tanh: Math.tanh, arctan: Math.atan, erf, floor: Math.floor, ceil: Math.ceil, rint: even,
    isfinite: (a) => truth(Number.isFinite(a)), where: (c, a, b) => (c ? a : b),
  };
  function run(place, value) {
    const out = [];
    data.program.code.forEach(([name, ...args], k) => {
      out.push(k === place ? value : name === "in" ? number(args[0]) : functions[name](...args.map((i) => out[i])));
    });
    return out;
  }

  function nudge(name) {
    const eps = Number($("eps").value);
    if (!eps) return fill($("result"), element("p", "Give a number other than 0 to nudge by."));
    undo();
    if (data.program) nudgeNumber(name, eps);
    else nudgeArray(name, eps);
  }

  function nudgeNumber(name, eps) {
    const { at: rows, root } = data.program;
    if (!(name in rows)) return;
    const before = run(-1, 0), after = run(rows[name], before[rows[name]] + eps);
    const lines = Object.entries(rows).filter(([, k]) => before[k] !== after[k]);
    for (const [each, k] of lines) mark(each, written(after[k]));
    const moved = lines.map(([each, k]) => [each, written(before[k], 9), written(after[k], 9)]);
    const slope = data.slopes[name];
    told(name, eps, before[root], after[root], slope ? number(slope.number) / number(data.seed) : null, moved);
  }

  function nudgeArray(name, wanted) {
    const rows = data.nudges[name];
    if (!rows) return fill($("result"), element("p", `${name} cannot be nudged: it holds whole numbers, or nothing depends on it.`));
    const apart = (row) => Math.abs(Math.log(row.eps / Math.abs(wanted)));
    const row = rows.reduce((best, each) => (apart(each) < apart(best) ? each : best));
    Object.keys(row.moved).forEach((each) => mark(each));
    const moved = Object.entries(row.moved).map(([each, [was, now]]) => [each, was, now]);
    told(row.name, row.eps, number(row.before), number(row.after), row.derivative === null ? null : number(row.derivative), moved);
  }

  function told(name, eps, before, after, slope, moved) {
    const change = after - before;
    const said = slope === null || Number.isNaN(slope) ? "" : `; the derivative is ${written(slope)}`;
    const parts = [element("h2", `${name} nudged by ${eps}`)];
    parts.push(element("p", `${data.root} goes from ${written(before, 10)} to ${written(after, 10)}, a change of ${written(change, 6)}: ${written(change / eps, 7)} times that of ${name}${said}.`));
    if (moved.length) parts.push(table([["", "before", "after"], ...moved], true));
    fill($("result"), ...parts);
    $("reset").disabled = false;
  }

  function mark(name, text) {
    for (const each of all(`[data-value="${CSS.escape(name)}"]`)) {
      each.classList.add("moved");
      if (text !== undefined && each.tagName === "text") {
        each.dataset.was ??= each.textContent;
        each.textContent = (each.dataset.was.includes("=") ? `${name} = ` : "") + text;
      }
    }
    for (const each of all(`.node[data-node="${CSS.escape(name)}"]`)) each.classList.add("moved");
  }

  function undo() {
    for (const each of all(".moved")) {
      each.classList.remove("moved");
      if (each.dataset.was !== undefined) {
        each.textContent = each.dataset.was;
        delete each.dataset.was;
      }
    }
    fill($("result"));
    $("reset").disabled = true;
  }

  // ------------------------------------------------------------ quiz
  const answer = (kind, name) => (kind === "slope" ? data.slopes : data.values)[name];
  function ask() {
    quiz = !quiz;
    undo();
    $("quiz").textContent = quiz ? "end quiz" : "quiz";
    $("reveal").hidden = $("hide").hidden = !quiz;
    all("foreignObject").forEach((each) => each.remove());
    all(".asked").forEach((each) => each.classList.remove("asked", "waiting"));
    if (quiz) {
      for (const each of all("text[data-value], text[data-slope], g.row")) box(each);
    }
    score();
    show(at);
    if (quiz) all(".asked").forEach((each) => each.classList.add("waiting"));
  }

  function box(place) {
    const kind = place.dataset.slope !== undefined ? "slope" : "value";
    const name = place.dataset[kind], wanted = answer(kind, name);
    if (!wanted || (kind === "value" && data.leaves.includes(name) && !wanted.shape)) return;
    const text = place.tagName === "text" ? place : place.querySelector(".s");
    const wide = wanted.shape ? 54 : 66;
    const x = Number(text.getAttribute("x")) - (place.tagName === "text" ? wide / 2 : 0);
    const y = Number(text.getAttribute("y")) - 16;
    const holder = document.createElementNS("http://www.w3.org/2000/svg", "foreignObject");
    Object.entries({ x, y, width: wide, height: 24 }).forEach(([key, value]) => holder.setAttribute(key, value));
    const input = element("input", undefined, kind);
    input.placeholder = "?";
    input.dataset.kind = kind;
    input.dataset.name = name;
    if (!wanted.shape) input.dataset.number = text.textContent.split("=").pop();
    input.title = `${kind === "slope" ? `d${data.of}/d` : ""}${name}${wanted.shape ? ": its shape" : ""}`;
    input.addEventListener("change", () => check(input));
    holder.append(input);
    text.parentNode.append(holder);
    text.classList.add("asked");
  }

  function check(input) {
    const wanted = answer(input.dataset.kind, input.dataset.name), given = input.value.trim();
    let right;
    if (wanted.shape) right = (given.match(/\d+/g) ?? []).join() === wanted.shape.join();
    else right = Math.abs(Number(given) - number(input.dataset.number)) <= 0.01 * Math.abs(number(input.dataset.number)) + 1e-9;
    input.classList.toggle("right", given !== "" && right);
    input.classList.toggle("wrong", given !== "" && !right);
    score();
  }

  const inputs = () => all("foreignObject input");
  function score() {
    const right = inputs().filter((each) => each.classList.contains("right")).length;
    $("score").textContent = quiz ? `${right} of ${inputs().length} right` : "";
  }
  function put(value) {
    for (const each of inputs()) {
      const wanted = answer(each.dataset.kind, each.dataset.name);
      each.value = value ? (wanted.shape ? wanted.shape.join(", ") : each.dataset.number.trim()) : "";
      check(each);
    }
  }

  // ------------------------------------------------------------ mouse and keys
  const named = (target) => {
    const found = target.closest("[data-value], [data-slope], [data-node]");
    return found && { name: found.dataset.value ?? found.dataset.slope ?? found.dataset.node, slope: found.dataset.slope !== undefined };
  };
  svg.addEventListener("mousemove", (event) => {
    const found = named(event.target), tip = $("tip");
    const step = found?.slope ? data.back.find((each) => each.name === found.name)?.said : found && data.about[found.name];
    tip.hidden = !step || quiz;
    if (tip.hidden) return;
    tip.textContent = step;
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${Math.min(event.clientY + 18, innerHeight - tip.offsetHeight - 8)}px`;
  });
  svg.addEventListener("mouseleave", () => ($("tip").hidden = true));
  svg.addEventListener("click", (event) => {
    const found = named(event.target);
    if (found && !quiz) nudge(found.name);
  });
  const clicks = { first: () => show(0), prev: () => show(at - 1), next: () => show(at + 1), last: () => show(total), play, quiz: ask, reset: undo, reveal: () => put(true), hide: () => put(false) };
  Object.entries(clicks).forEach(([id, action]) => $(id).addEventListener("click", action));
  $("at").addEventListener("input", () => show(Number($("at").value)));
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input, button")) return;
    const keys = { ArrowLeft: clicks.prev, ArrowRight: clicks.next, " ": play };
    if (keys[event.key]) {
      event.preventDefault();
      keys[event.key]();
    }
  });
  $("at").max = total;
  const asked = /step=(\d+)/.exec(location.hash);
  show(asked ? Number(asked[1]) : total);
})();
