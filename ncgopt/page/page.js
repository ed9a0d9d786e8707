"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const page = document.getElementById("page");

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "class") element.className = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "style") element.style.cssText = value;
    else element.setAttribute(key, value);
  }
  for (const child of children.flat()) if (child !== null && child !== undefined) element.append(child);
  return element;
}
const count = (n) => Number(n).toLocaleString("en");
function scaled(n, units) {
  let size = Number(n), unit = 0;
  while (Math.abs(size) >= 999.5 && unit < units.length - 1) { size /= 1000; unit++; }
  return (unit ? size.toPrecision(3) : String(size)) + " " + units[unit];
}
const bytes = (n) => scaled(n, ["B", "kB", "MB", "GB", "TB"]);
const flops = (n) => scaled(n, ["FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP"]);
const seconds = (n) => n < 0.0995 ? (n * 1000).toFixed(1) + " ms" : Number(n).toFixed(2) + " s";
const small = (n) => n === null ? "" : typeof n === "string" ? n : n === 0 ? "0" : Number(n).toPrecision(3);
function signed(n, show) { return n === 0 ? "" : (n > 0 ? "+" : "\u2212") + show(Math.abs(n)); }
function percent(before, after) {
  if (!before || before === after) return "unchanged";
  const share = 100 * (after - before) / before;
  if (Math.abs(share) < 0.05) return "about the same";
  return (share > 0 ? "+" : "\u2212") + Math.abs(share).toFixed(Math.abs(share) < 10 ? 1 : 0) + " %";
}
function section(title, ...content) { page.append(make("h2", {}, title), ...content); }
function table(headers, rows) {
  const numeric = headers.map((header) => header.endsWith("#"));
  const head = make("tr", {}, headers.map((h, k) => make("th", numeric[k] ? { class: "n" } : {}, h.replace("#", ""))));
  const body = rows.map((row) => make("tr", {}, row.map((cell, k) => make("td", { class: numeric[k] ? "n" : "w" }, cell ?? ""))));
  return make("div", { class: "box", style: "max-height:440px" }, make("table", {}, make("thead", {}, head), make("tbody", {}, body)));
}
function card(title, before, after, show) {
  const same = before === after;
  const text = show(before) === show(after) ? show(after) : show(before) + " \u2192 " + show(after);
  const tone = same ? "dim" : after < before ? "good" : "bad";
  return make("div", { class: "card" }, make("span", {}, title), make("b", {}, text), make("span", { class: tone }, percent(before, after)));
}
function fact(title, value, note, tone) {
  return make("div", { class: "card" }, make("span", {}, title), make("b", {}, value), make("span", { class: tone || "" }, note || ""));
}

/* ---- graphs ---- */
const WIDTH = 150, HEIGHT = 30, COLUMN = 172, LAYER = 66;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
class Graph {
  constructor(title, drawing) {
    this.nodes = drawing.nodes.map(([op, name, x, y, status, lines]) => ({ op, name, status, lines, x: x * COLUMN, y: y * LAYER, into: [], out: [] }));
    this.edges = drawing.edges.map(([a, b]) => [this.nodes[a], this.nodes[b]]);
    for (const [a, b] of this.edges) { a.out.push(b); b.into.push(a); }
    this.changes = this.nodes.filter((node) => node.status !== "same").sort((a, b) => a.y - b.y || a.x - b.x);
    this.at = -1; this.chosen = null; this.other = null;
    this.canvas = make("canvas", { tabindex: "0", role: "img", "aria-label": title + ": " + this.nodes.length + " nodes" });
    this.tip = make("div", { class: "tip" });
    const hidden = drawing.hidden ? make("span", { class: "dim" }, count(drawing.hidden) + " far from any change not drawn") : null;
    this.figure = make("figure", { class: "box" },
      make("figcaption", {}, make("b", {}, title + " ", make("span", { class: "dim" }, count(this.nodes.length) + " nodes, " + count(this.changes.length) + " differ")), hidden,
        make("button", { onclick: () => this.step(-1), title: "previous difference" }, "\u2191"),
        make("button", { onclick: () => this.step(1), title: "next difference" }, "\u2193 next difference"),
        make("button", { onclick: () => this.fit() }, "all")),
      this.canvas, this.tip);
    this.scale = 1; this.left = 0; this.top = 0;
    this.listen();
  }
  bounds() {
    let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
    for (const n of this.nodes) { x0 = Math.min(x0, n.x); x1 = Math.max(x1, n.x); y0 = Math.min(y0, n.y); y1 = Math.max(y1, n.y); }
    return this.nodes.length ? [x0 - WIDTH, x1 + WIDTH, y0 - HEIGHT * 2, y1 + HEIGHT * 2] : [0, 1, 0, 1];
  }
  fit() {
    const [x0, x1, y0, y1] = this.bounds(), { clientWidth: w, clientHeight: h } = this.canvas;
    this.scale = Math.min(1.2, (w - 24) / (x1 - x0), h / (y1 - y0));
    this.centre((x0 + x1) / 2, (y0 + y1) / 2);
  }
  centre(x, y) {
    this.left = this.canvas.clientWidth / 2 - x * this.scale;
    this.top = this.canvas.clientHeight / 2 - y * this.scale;
    this.draw();
  }
  start() {
    this.fit();
    if (this.scale < 0.45) { this.scale = 0.8; this.step(1, true); }
  }
  step(by, quiet) {
    if (!this.changes.length) { const n = this.nodes[0]; if (n) this.centre(n.x, n.y); return; }
    this.at = (this.at + by + this.changes.length) % this.changes.length;
    if (this.scale < 0.5) this.scale = 0.9;
    this.choose(this.changes[this.at], quiet);
  }
  choose(node, quiet) {
    this.chosen = node;
    this.centre(node.x, node.y);
    if (!quiet) this.explain(node);
  }
  explain(node) {
    this.tip.style.display = node ? "block" : "none";
    if (!node) return;
    const what = { same: "", changed: "reads or is something else", removed: "gone", added: "new" }[node.status];
    this.tip.replaceChildren(make("b", {}, node.op + " "), node.name + (what ? "  (" + what + ")" : ""), "\n" + node.lines.map((line) => line.replace(/^! /, "touched by ")).join("\n"));
  }
  listen() {
    let held = null, moved = false;
    const point = (event) => [event.offsetX, event.offsetY];
    this.canvas.addEventListener("pointerdown", (event) => { held = point(event); moved = false; this.canvas.setPointerCapture(event.pointerId); });
    this.canvas.addEventListener("pointermove", (event) => {
      if (!held) return;
      const [x, y] = point(event);
      if (Math.abs(x - held[0]) + Math.abs(y - held[1]) > 2) moved = true;
      this.left += x - held[0]; this.top += y - held[1]; held = [x, y];
      this.draw();
    });
    this.canvas.addEventListener("pointerup", (event) => {
      held = null;
      if (moved) return;
      const [x, y] = point(event);
      if (x > this.canvas.clientWidth - 18) { const [, , y0, y1] = this.bounds(); const near = y0 + (y1 - y0) * y / this.canvas.clientHeight; this.centre((this.canvas.clientWidth / 2 - this.left) / this.scale, near); return; }
      const node = this.find((x - this.left) / this.scale, (y - this.top) / this.scale);
      this.chosen = node; this.explain(node); this.draw();
    });
    this.canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 400), ...point(event));
    }, { passive: false });
    this.canvas.addEventListener("dblclick", (event) => this.zoom(1.8, ...point(event)));
    this.canvas.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
      if (move) { this.left += move[0]; this.top += move[1]; this.draw(); }
      else if (event.key === "+" || event.key === "-") this.zoom(event.key === "+" ? 1.25 : 0.8, this.canvas.clientWidth / 2, this.canvas.clientHeight / 2);
      else if (event.key === "n" || event.key === "p") this.step(event.key === "n" ? 1 : -1);
      else return;
      event.preventDefault();
    });
  }
  zoom(factor, x, y) {
    const scale = Math.max(0.01, Math.min(4, this.scale * factor));
    this.left = x - (x - this.left) * scale / this.scale;
    this.top = y - (y - this.top) * scale / this.scale;
    this.scale = scale;
    this.draw();
  }
  find(x, y) { return this.nodes.find((n) => Math.abs(n.x - x) <= WIDTH / 2 && Math.abs(n.y - y) <= HEIGHT / 2) || null; }
  draw() {
    const { clientWidth: w, clientHeight: h } = this.canvas, ratio = window.devicePixelRatio || 1;
    this.canvas.width = w * ratio; this.canvas.height = h * ratio;
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.save(); pen.translate(this.left, this.top); pen.scale(this.scale, this.scale);
    const x0 = -this.left / this.scale - WIDTH, x1 = x0 + w / this.scale + 2 * WIDTH, y0 = -this.top / this.scale - HEIGHT, y1 = y0 + h / this.scale + 2 * HEIGHT;
    pen.lineWidth = Math.max(1, 0.7 / this.scale);
    pen.strokeStyle = colour("edge");
    pen.beginPath();
    for (const [a, b] of this.edges) {
      if (b.y < y0 || a.y > y1) continue;
      const from = a.y + HEIGHT / 2, to = b.y - HEIGHT / 2, span = Math.round((b.y - a.y) / LAYER);
      pen.moveTo(a.x, from);
      if (span <= 1) pen.bezierCurveTo(a.x, from + 18, b.x, to - 18, b.x, to);
      else {
        /* an edge over several layers bows out, so as not to run through the nodes between */
        const out = Math.max(a.x, b.x) + WIDTH / 2 + Math.min(70, 12 + 5 * span), bend = Math.min(60, (to - from) / 3);
        pen.bezierCurveTo(a.x, from + 24, out, from + 8, out, from + bend);
        pen.lineTo(out, to - bend);
        pen.bezierCurveTo(out, to - 8, b.x, to - 24, b.x, to);
      }
    }
    pen.stroke();
    if (this.chosen) {
      pen.strokeStyle = colour("accent"); pen.lineWidth *= 2; pen.beginPath();
      for (const one of this.chosen.into) { pen.moveTo(one.x, one.y + HEIGHT / 2); pen.lineTo(this.chosen.x, this.chosen.y - HEIGHT / 2); }
      for (const one of this.chosen.out) { pen.moveTo(this.chosen.x, this.chosen.y + HEIGHT / 2); pen.lineTo(one.x, one.y - HEIGHT / 2); }
      pen.stroke();
    }
    const fill = { same: colour("node"), changed: colour("chg"), removed: colour("rem"), added: colour("add") };
    const ink = colour("ink"), faint = colour("nodeink"), accent = colour("accent"), written = this.scale > 0.28;
    pen.textAlign = "center"; pen.textBaseline = "middle";
    for (const n of this.nodes) {
      if (n.x < x0 || n.x > x1 || n.y < y0 || n.y > y1) continue;
      pen.fillStyle = fill[n.status];
      pen.beginPath(); pen.roundRect(n.x - WIDTH / 2, n.y - HEIGHT / 2, WIDTH, HEIGHT, 7); pen.fill();
      if (n === this.chosen) { pen.strokeStyle = accent; pen.lineWidth = 2.5; pen.stroke(); }
      if (!written) continue;
      pen.fillStyle = n.status === "same" ? faint : ink;
      pen.font = (n.status === "same" ? "" : "600 ") + "13px system-ui,sans-serif";
      pen.fillText(n.op, n.x, n.y + 0.5, WIDTH - 12);
    }
    pen.restore();
    this.overview(pen, w, h);
  }
  overview(pen, w, h) {
    const [, , y0, y1] = this.bounds();
    pen.fillStyle = colour("soft"); pen.fillRect(w - 16, 0, 16, h);
    pen.fillStyle = colour("line");
    pen.fillRect(w - 16, h * (-this.top / this.scale - y0) / (y1 - y0), 16, Math.max(4, h * (h / this.scale) / (y1 - y0)));
    for (const [status, name] of [["removed", "bad"], ["changed", "warn"], ["added", "good"]]) {
      pen.fillStyle = colour(name);
      for (const n of this.changes) if (n.status === status) pen.fillRect(w - 13, h * (n.y - y0) / (y1 - y0) - 1, 10, 2);
    }
  }
}
let graphs = [];
function showGraphs(before, after, titles) {
  graphs = [new Graph(titles[0], before), new Graph(titles[1], after)];
  const key = (name, text) => [make("i", { class: "key", style: `background:var(--${name})` }), text];
  section("Graph",
    make("p", { class: "dim" }, "Drag to pan, wheel to zoom, click a node for details; keys: arrows, + and \u2212, n and p for the next and previous difference.",
      key("rem", "gone"), key("chg", "changed"), key("add", "new"), key("node", "the same")),
    make("div", { class: "graphs" }, graphs.map((graph) => graph.figure)));
  const start = () => graphs.forEach((graph) => graph.start());
  requestAnimationFrame(start);
  window.addEventListener("resize", () => graphs.forEach((graph) => graph.draw()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => graphs.forEach((graph) => graph.draw()));
}
function goTo(where) {
  const name = where.split(" ").slice(1).join(" ");
  for (const graph of graphs) {
    const node = graph.nodes.find((one) => one.name === name && name) || graph.nodes.find((one) => one.op + " " + one.name === where);
    if (node) { graph.choose(node); graph.figure.scrollIntoView({ block: "center" }); return; }
  }
}
window.ncgopt = { get graphs() { return graphs; } };

/* ---- optimize ---- */
function badge(text, tone) { return make("span", { class: "badge " + tone }, text); }
const TONES = { passed: "good", written: "good", "dry-run": "warn", failed: "bad", inconclusive: "warn", skipped: "warn", faster: "good", slower: "bad" };
function showReport(report) {
  page.append(make("header", {}, make("h1", {}, report.model.split(/[\\/]/).pop()), badge(report.status, TONES[report.status] || "warn"),
    badge("verification " + report.verification.status, TONES[report.verification.status] || "warn"),
    make("span", { class: "sub" }, report.model + (report.output ? " \u2192 " + report.output : "") + " \u00b7 ncgopt " + report.version)));
  const cards = make("div", { class: "cards" });
  const { before, after } = report;
  if (before && after) {
    cards.append(card("nodes", before.nodes, after.nodes, count), card("weights", before.weight_bytes, after.weight_bytes, bytes));
    if (after.file_bytes) cards.append(card("on disk", before.file_bytes, after.file_bytes, bytes));
    if (data.flops) cards.append(card("FLOPs" + data.flops.at, data.flops.before, data.flops.after, flops));
  }
  const m = report.measurement;
  if (m && m.ratio !== null) cards.append(fact("latency, original over result", m.ratio.toFixed(3), m.verdict + ", 95 %: " + m.low.toFixed(3) + " to " + m.high.toFixed(3), TONES[m.verdict]));
  cards.append(fact("changes", count(report.rewrites.length), report.rolled_back.length ? report.rolled_back.length + " rolled back" : "none rolled back", report.rolled_back.length ? "bad" : "good"));
  cards.append(fact("took", seconds(report.seconds), "verification " + seconds(report.verification.seconds)));
  page.append(cards);
  if (data.before) showGraphs(data.before, data.after, ["before", "after"]);
  showPasses(report); showRewrites(report); showVerification(report.verification, "Verification");
  if (report.lossy) showVerification(report.lossy, "What the lossy step changed");
  showRefused(report); showRest(report);
}
function bar(from, to, most) {
  const at = (n) => (100 * n / most).toFixed(2) + "%", low = Math.min(from, to), high = Math.max(from, to);
  return make("div", { class: "bar" }, make("i", { style: "left:0;width:" + at(low) }),
    high > low ? make("i", { class: to < from ? "gone" : "more", style: `left:${at(low)};width:max(2px,${at(high - low)})` }) : null);
}
function showPasses(report) {
  if (!report.passes.length) return;
  const nodes = Math.max(1, ...report.passes.map((p) => Math.max(p.nodes_before, p.nodes_after))), slow = Math.max(1e-9, ...report.passes.map((p) => p.seconds));
  const row = (p) => [make("span", {}, p.name, make("span", { class: "dim" }, p.cycle ? "  cycle " + p.cycle : "")), count(p.rewrites),
    make("div", {}, count(p.nodes_after), bar(p.nodes_before, p.nodes_after, nodes)), signed(p.nodes_after - p.nodes_before, count), signed(p.bytes_after - p.bytes_before, bytes),
    make("div", {}, seconds(p.seconds), make("div", { class: "bar", style: "min-width:60px" }, make("i", { style: "left:0;width:" + (100 * p.seconds / slow).toFixed(1) + "%" }))),
    make("span", { class: "dim" }, Object.entries(p.rules).sort((a, b) => b[1] - a[1]).map(([rule, n]) => rule + (n > 1 ? "\u00a0\u00d7" + n : "")).join(", "))];
  const headers = ["pass", "changes#", "nodes", "\u0394 nodes#", "\u0394 bytes#", "time", "rules"];
  const active = report.passes.filter((p) => p.rewrites), idle = report.passes.filter((p) => !p.rewrites);
  section("Pass by pass", active.length ? table(headers, active.map(row)) : make("p", { class: "dim" }, "No pass found anything to do."));
  if (idle.length) page.append(make("details", {}, make("summary", {}, count(idle.length) + " runs of passes that changed nothing, " + seconds(idle.reduce((s, p) => s + p.seconds, 0))), table(headers, idle.map(row))));
}
function showRewrites(report) {
  if (!report.rewrites.length) return;
  const by = new Map();
  for (const one of report.rewrites) by.set(one.source, [...(by.get(one.source) || []), one.where]);
  const most = Math.max(...[...by.values()].map((places) => places.length));
  const rows = [...by].sort((a, b) => b[1].length - a[1].length).map(([source, places]) => [source, count(places.length),
    make("div", { class: "bar" }, make("i", { style: "left:0;width:" + (100 * places.length / most).toFixed(1) + "%" })),
    make("details", {}, make("summary", { style: "padding:0" }, places[0]), places.slice(0, 200).map((where) => make("div", {}, graphs.length ? make("button", { onclick: () => goTo(where) }, "show") : null, " " + where)))]);
  section("Changes by rule and pass", table(["rule or pass", "times#", "", "where"], rows));
}
function showVerification(found, title) {
  section(title, make("p", {}, badge(found.status, TONES[found.status] || "warn"), " ", found.reason || "",
    make("span", { class: "dim" }, ` ${found.runs.length} runs` + (found.reference === "float64" ? ", measured against float64" : found.reference ? ", no float64 reference: " + found.reference : ""))));
  for (const line of found.interface) page.append(make("p", { class: "bad" }, line));
  const rows = [];
  for (const run of found.runs) for (const out of run.outputs) {
    const share = out.limit > 0 ? out.max_abs / out.limit : out.max_abs === 0 ? 0 : Infinity, bad = out.detail || share > 1;
    rows.push([run.source, Object.entries(run.binding).map(([k, v]) => k + "=" + v).join(", "), run.level === "enable-all" ? "ORT optimized" : "as written", out.output,
      out.detail ? make("span", { class: "bad" }, out.detail) : small(out.max_abs), small(out.limit),
      make("div", { class: "bar", style: "min-width:70px" }, make("i", { class: bad ? "more" : "", style: "left:0;width:" + Math.min(100, 100 * share).toFixed(1) + "%" })),
      small(out.error), small(out.own_error)]);
  }
  if (rows.length) page.append(table(["data", "sizes", "run", "output", "largest difference#", "allowed#", "", "error to float64#", "the original's own#"], rows));
  const w = found.windows;
  if (w) page.append(make("p", { class: "dim" }, `Compared in ${count(w.windows)} windows, the largest of ${count(w.largest)} nodes; ${count(w.unchanged)} of ${count(w.nodes)} nodes are unchanged.`));
}
function showRefused(report) {
  const refused = [...report.refusals].sort((a, b) => b.count - a.count);
  const rows = refused.map((one) => [one.rule, make("code", {}, one.guard), count(one.count), data.guards[one.rule + " " + one.guard] || "", one.example]);
  if (rows.length) section("What was refused, and why", table(["rule", "guard", "times#", "without it", "for example"], rows));
  if (report.rolled_back.length) section("Rolled back", table(["rule or pass", "where", "scope", "why"], report.rolled_back.map((one) => [one.source, one.where, one.scope, one.reason])));
  if (report.not_profitable.length) section("Measured, and not worth it", table(["rule", "where", "ratio#", "95 % interval#"], report.not_profitable.map((one) => [one.source, one.where, one.ratio.toFixed(3), one.low.toFixed(3) + " to " + one.high.toFixed(3)])));
}
function showRest(report) {
  const rows = [...report.repairs.map((one) => ["repaired", one.kind + ": " + one.where + ": " + one.detail]), ...report.contradictions.map((one) => ["contradiction", `${one.value} is declared as ${one.declared}, and is ${one.proven}`]),
    ...report.lost.map((line) => ["lost", line]), ...report.notes.map((line) => ["note", line]), ...report.files.map((file) => ["file", `${file.path}, ${bytes(file.bytes)}, SHA-256 ${file.sha256}`])];
  if (rows.length) section("Also", table(["", ""], rows));
}

/* ---- diff ---- */
function showDiff(found) {
  const same = found.identical;
  page.append(make("header", {}, make("h1", {}, "Difference of two models"), badge(same ? "the same structure" : "structures differ", same ? "good" : "warn"),
    found.verification ? badge("numbers: " + found.verification.status, TONES[found.verification.status] || "warn") : null,
    make("span", { class: "sub" }, "A: " + found.left + "\u2002 B: " + found.right)));
  const [a, b] = [found.left_stats, found.right_stats];
  page.append(make("div", { class: "cards" }, card("nodes", a.nodes, b.nodes, count), card("weights", a.weight_bytes, b.weight_bytes, bytes), card("on disk", a.file_bytes, b.file_bytes, bytes),
    fact("nodes that are the same", count(found.nodes.same), `${count(found.nodes.changed.length)} changed, ${count(found.nodes.removed.length)} only in A, ${count(found.nodes.added.length)} only in B`)));
  showGraphs(data.before, data.after, ["A", "B"]);
  const rows = found.operators.map((one) => [one.operator, count(one.left), count(one.right), signed(one.right - one.left, count)]);
  if (rows.length) section("Operators", table(["operator", "A#", "B#", "difference#"], rows));
  const lines = found.facts.map((one) => [one.what, one.name, one.left ?? "\u2013", one.right ?? "\u2013"]);
  if (lines.length) section("Interface, operator sets, metadata and weights", table(["what", "name", "A", "B"], lines));
  if (found.verification) showVerification(found.verification, "Numbers");
}
if (data.kind === "report") showReport(data.report); else showDiff(data.diff);
