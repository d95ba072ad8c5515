"use strict";
// Makes the page of the events that stand in it (docs/reference/events.md). What others wrote gets into it as
// text nodes only.
(() => {
  const $ = (id) => document.getElementById(id);
  /** An element: h("td.number", {title: "…"}, child, …). */
  function h(what, attributes, ...children) {
    const [tag, ...classes] = what.split(".");
    const element = document.createElement(tag);
    if (classes.length) element.className = classes.join(" ");
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value);
    }
    for (const child of children.flat()) if (child !== null && child !== undefined) element.append(child);
    return element;
  }

  // ---- how things read

  const icons = { changed: "●", unchanged: "✓", failed: "✕", skipped: "–", cancelled: "–", undone: "↩", ok: "✓", killed: "✕", none: "○", running: "…" };
  const words = { none: "not run" };
  const badge = (state) => h("span.badge." + state, null, (icons[state] || "○") + " " + (words[state] || state));
  function took(ms) {
    if (ms === undefined || ms === null || Number.isNaN(ms)) return "";
    if (ms < 1000) return Math.max(0, Math.round(ms)) + " ms";
    if (ms < 60000) return (ms / 1000).toFixed(1) + " s";
    const s = Math.floor(ms / 1000);
    return s < 3600 ? `${Math.floor(s / 60)}m${String(s % 60).padStart(2, "0")}s` : `${Math.floor(s / 3600)}h${String(Math.floor(s / 60) % 60).padStart(2, "0")}m`;
  }
  function bytes(n) {
    const units = ["B", "kB", "MB", "GB", "TB"];
    let unit = 0;
    while (n >= 999.95 && unit < units.length - 1) { n /= 1000; unit++; }
    return (unit ? n.toFixed(1) : n) + " " + units[unit];
  }
  /** Each letter at its place: some become longer when they become small. */
  function lower(text) {
    const low = text.toLowerCase();
    return low.length === text.length ? low : text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  }
  const amount = (n, unit) => (unit === "bytes" ? bytes(n) : String(n));
  const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  const plural = (n, one) => `${n.toLocaleString("en")} ${one}${n === 1 ? "" : "s"}`;

  // ---- what happened

  const run = { steps: new Map(), log: [], counts: {}, fields: {} };
  let first = Infinity, last = 0;
  function step(id) {
    let found = run.steps.get(id);
    if (!found) run.steps.set(id, (found = { id, needs: [], attempts: [], blobs: new Map(), state: "none", lines: 0 }));
    return found;
  }
  const takes = {
    version(e) { run.version = e; },
    run_started(e) {
      Object.assign(run.fields, e);
      for (const s of e.steps || []) Object.assign(step(s.id), s);
    },
    step_started(e, at) {
      const s = step(e.step);
      s.uses = e.uses || s.uses;
      s.attempts.push({ begin: at, end: at, number: e.attempt, operation: e.operation });
    },
    log(e, at) { say(e.step, at, e.level, e.message + Object.entries(e.fields || {}).map(([k, v]) => ` ${k}=${text(v)}`).join("")); },
    output(e, at) { for (const line of e.text.split("\n")) say(e.step, at, "output", line); },
    progress(e, at) {
      const s = step(e.step);
      const key = s.attempts.length + ":" + e.id;
      let blob = s.blobs.get(key);
      if (!blob) s.blobs.set(key, (blob = { id: e.id, label: e.label || "", begin: at, end: at, done: 0, total: 0, unit: e.unit }));
      if (e.label) blob.label = e.label;
      if (e.done > blob.done || !blob.ended) blob.end = at;
      blob.done = e.done; blob.total = e.total;
      blob.ended = e.total > 0 && e.done >= e.total;
    },
    step_retried(e, at) {
      const s = step(e.step), attempt = s.attempts[s.attempts.length - 1];
      if (attempt) { attempt.end = at; attempt.failed = true; }
      say(e.step, at, "warning", `try ${e.attempt + 1} of ${e.attempts} in ${took(e.delay_ms)}: ${e.error ? e.error.message : ""}`);
    },
    step_ended(e, at) {
      const s = step(e.step), attempt = s.attempts[s.attempts.length - 1];
      if (attempt) attempt.end = at;
      if (e.operation === "undo" && run.fields.operation === "run") { s.undone = true; return say(e.step, at, "info", "rolled back: " + (e.summary || e.state)); }
      Object.assign(s, { state: e.operation === "undo" && e.state === "changed" ? "undone" : e.state, summary: e.summary, why: e.why, kept: e.kept, params: e.params, diff: e.diff, outputs: e.outputs, error: e.error, elapsed: e.elapsed_ms, ended: at });
      if (e.error) say(e.step, at, "error", e.error.message);
    },
    run_ended(e) { run.end = e; run.counts = e.counts || {}; },
    notice(e, at) { say("", at, e.level, e.message + (e.hint ? ` (${e.hint})` : "")); },
  };
  function say(id, at, level, line) {
    run.log.push({ step: id || "", at, level, line, low: lower(line) });
    if (id) step(id).lines++;
  }
  for (const e of JSON.parse($("events").textContent)) {
    const at = e.time ? Date.parse(e.time) : 0;
    if (at) { first = Math.min(first, at); last = Math.max(last, at); }
    if (Object.hasOwn(takes, e.type)) takes[e.type](e, at);
  }
  if (first > last) first = last;
  const span = Math.max(1, last - first);
  const status = run.end ? run.end.status : "killed";
  const steps = [...run.steps.values()];

  // ---- the head and the summary

  const pipeline = run.fields.pipeline || "pipe";
  const operation = run.fields.operation === "undo" ? "down" : "run";
  document.title = `${pipeline}: ${status} · pipe ${operation}`;
  $("name").replaceChildren(pipeline, badge(status));
  const elapsed = run.end ? run.end.elapsed_ms : span;
  $("facts").append([`pipe ${operation}`, Number.isFinite(first) ? new Date(first).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" }) : "", took(elapsed), run.fields.file].filter(Boolean).join(" · "));
  if (run.version) $("maker").textContent = "pipe " + run.version.pipe;

  const tally = {};
  for (const s of steps) tally[s.state] = (tally[s.state] || 0) + 1;
  const count = (state, name, n) => h("div.count." + state, null, h("b", null, n.toLocaleString("en")), h("span", null, name));
  $("counts").append(h("div.count", null, h("b", null, took(elapsed)), h("span", null, plural(steps.length, "step"))));
  for (const state of ["changed", "unchanged", "undone", "failed", "skipped", "cancelled", "none"]) {
    if (tally[state]) $("counts").append(count(state, words[state] || state, tally[state]));
  }
  const kept = steps.filter((s) => s.kept).length;
  if (kept) $("counts").append(count("unchanged", "of them kept", kept));
  if (run.counts.retried) $("counts").append(count("skipped", "retries", run.counts.retried));

  for (const s of steps.filter((s) => s.error && s.state === "failed").slice(0, 20)) {
    $("failures").append(h("div.card.failure", null,
      h("h3", null, h("a", { href: "#steps", onclick: (event) => { event.preventDefault(); show(s.id); } }, s.id), " failed"),
      h("p", null, s.error.message), s.error.hint ? h("p.faint", null, s.error.hint) : null,
      s.error.tail && s.error.tail.length ? h("pre", { tabindex: 0 }, s.error.tail.join("\n")) : null));
  }
  if (!run.end) $("failures").append(h("div.card.failure", null, h("h3", null, "This run has no end"), h("p", null, "It was killed, or was still under way when this page was made.")));

  function pairs(map, title) {
    const entries = Object.entries(map || {});
    if (!entries.length) return null;
    return [title ? h("h4", null, title) : null, h("table", null, h("tbody", null, entries.map(([k, v]) => h("tr", null, h("td.key", null, k), h("td.mono", null, text(v))))))];
  }
  const about = h("div.facts");
  const settings = pairs(run.fields.settings);
  if (settings) about.append(h("div.card", null, h("h2", null, "Settings"), settings));
  const given = run.end && pairs(run.end.outputs);
  if (given) about.append(h("div.card", null, h("h2", null, "Outputs"), given));
  const origin = pairs(Object.fromEntries(["id", "resumes", "from", "only", "folder"].filter((k) => run.fields[k]).map((k) => [k === "id" ? "run" : k, run.fields[k]])));
  if (origin) about.append(h("div.card", null, h("h2", null, "Run"), origin));
  $("about").append(about);

  // ---- the timeline: a row a step; many instances of one fold into one

  const left = (at) => (100 * (at - first)) / span;
  const bar = (begin, end, state, title) => h("i." + state, { style: `left:${left(begin).toFixed(3)}%;width:${(Math.max(0, end - begin) * 100 / span).toFixed(3)}%`, title });
  function parts(s) { return [...s.blobs.values()].filter((b) => b.id !== 0 && b.total > 0); }
  function stepRow(s) {
    const track = h("div.track." + s.state);
    s.attempts.forEach((a, i) => {
      const next = s.attempts[i + 1];
      track.append(bar(a.begin, a.end, a.failed ? "failed" : a.operation === "undo" ? "undone" : s.state, took(a.end - a.begin)));
      if (a.failed && next) track.append(bar(a.end, next.begin, "failed.wait", "waits for its next attempt"));
    });
    return h("div.row", null, h("button", { type: "button", title: s.id, onclick: () => show(s.id) }, s.id), track,
      h("span.took", null, s.attempts.length ? took(s.attempts[s.attempts.length - 1].end - s.attempts[0].begin) : s.kept ? "kept" : words[s.state] || s.state));
  }
  function blobRow(b) {
    const track = h("div.track", null, bar(b.begin, b.end, "blob", took(b.end - b.begin)));
    return h("div.row.blob", null, h("span", { title: b.label }, b.label || "part " + b.id), track, h("span.took", null, amount(b.done, b.unit)));
  }
  function rows(s) {
    const blobs = parts(s).sort((a, b) => a.begin - b.begin || b.total - a.total);
    return [stepRow(s), ...(blobs.length <= 12 ? blobs : blobs.slice(0, 12)).map(blobRow)];
  }
  function worst(list) {
    return ["failed", "cancelled", "changed", "undone", "unchanged", "skipped", "none"].find((state) => list.some((s) => s.state === state)) || "none";
  }
  const groups = new Map();
  for (const s of steps) {
    const name = s.step || s.id;
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(s);
  }
  /** Appends what `make` gives for each item, so many at a time. */
  function pages(items, make, to, size, place) {
    let shown = 0;
    const more = h("button.more", { type: "button", onclick: next });
    function next() {
      const batch = items.slice(shown, shown + size);
      shown += batch.length;
      const made = batch.flatMap(make);
      if (more.parentNode) more.before(...made); else to.append(...made);
      if (shown < items.length) { more.textContent = `Show more (${(items.length - shown).toLocaleString("en")} left)`; if (place) more.style.gridColumn = place; if (!more.parentNode) to.append(more); } else more.remove();
    }
    next();
  }
  function groupRows([name, list]) {
    if (list.length <= 8) return list.flatMap(rows);
    const began = list.filter((s) => s.attempts.length);
    const state = worst(list);
    const track = h("div.track." + state);
    if (began.length) track.append(bar(Math.min(...began.map((s) => s.attempts[0].begin)), Math.max(...began.map((s) => s.attempts[s.attempts.length - 1].end)), state, plural(list.length, "instance")));
    const inside = h("div", { style: "display:contents", hidden: "" });
    inside.style.display = "none";
    let filled = false;
    const button = h("button.fold", { type: "button", "aria-expanded": "false", onclick() {
      const open = button.getAttribute("aria-expanded") !== "true";
      button.setAttribute("aria-expanded", String(open));
      if (!filled) pages(list, rows, inside, 200, "2");
      filled = true;
      inside.hidden = !open;
      inside.style.display = open ? "contents" : "none";
    } }, `${name} × ${list.length.toLocaleString("en")}`);
    return [h("div.row", null, button, track, h("span.took", null, plural(list.filter((s) => s.state === state).length, state === "none" ? "left" : state).replace(/s$/, ""))), inside];
  }
  const bars = $("bars");
  const ticks = h("div.ticks", { "aria-hidden": "true" });
  const width = bars.clientWidth || 800;
  // Round numbers of a unit, as many as there is room for.
  const round = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 18e5, 36e5, 72e5, 216e5, 864e5].find((ms) => span / ms <= (width < 560 ? 3 : 7)) || span;
  for (let at = 0; at <= span * 0.94; at += round) ticks.append(h("span", { style: `left:${((100 * at) / span).toFixed(2)}%` }, at === 0 ? "0" : round < 1000 ? `${at} ms` : took(at).replace(".0 s", " s")));
  bars.append(ticks);
  pages([...groups], groupRows, bars, 200, "2");

  // ---- the graph

  const drawing = $("drawing"), template = $("graph-drawing");
  if (template) {
    drawing.append(template.content.cloneNode(true));
    for (const box of drawing.querySelectorAll(".step")) {
      const list = groups.get(box.dataset.step) || [];
      const state = worst(list);
      box.classList.add(state);
      box.setAttribute("tabindex", "0");
      box.setAttribute("role", "link");
      box.setAttribute("aria-label", `${box.dataset.step}: ${words[state] || state}`);
      const go = () => list.length && show((list.find((s) => s.state === state) || list[0]).id);
      box.addEventListener("click", go);
      box.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); go(); } });
    }
  }

  // ---- the steps

  function transferOf(s) {
    const list = parts(s);
    if (!list.length) return null;
    return [h("h4", null, "What moved"), h("table", null, h("tbody", null, list.slice(0, 100).map((b) => h("tr", null, h("td.mono", null, b.label || "part " + b.id), h("td.number", null, amount(b.done, b.unit)), h("td.number", null, took(b.end - b.begin))))))];
  }
  function inside(s) {
    const lines = run.log.filter((l) => l.step === s.id);
    return h("div.inside", null,
      s.why ? h("p.why", null, (s.kept ? "Kept: " : "Ran again: ") + s.why) : null,
      s.undone ? h("p.why", null, "It was rolled back.") : null,
      s.needs && s.needs.length ? h("p.why", null, "After " + s.needs.slice(0, 20).join(", ") + (s.needs.length > 20 ? ` and ${s.needs.length - 20} more` : "")) : null,
      s.error ? [h("h4", null, "Why it failed"), h("p", null, s.error.message), s.error.hint ? h("p.faint", null, s.error.hint) : null] : null,
      s.diff && s.diff.length ? [h("h4", null, "What changed"), h("table", null, h("tbody", null, s.diff.map((d) => h("tr", null, h("td.key", null, d.field), h("td.mono", null, h("del", null, d.before || "–"), " → ", h("ins", null, d.after || "–"))))))] : null,
      pairs(s.params, "Parameters"), pairs(s.outputs, "Outputs"), transferOf(s),
      lines.length ? [h("h4", null, "Log"), h("pre", { tabindex: 0 }, lines.slice(-2000).map((l) => l.line).join("\n"))] : null);
  }
  function details(s) {
    const element = h("details", { "data-step": s.id },
      h("summary", null, badge(s.state), h("span.id", null, s.id), h("span.says", null, s.uses && s.uses !== s.id ? h("span.uses", null, s.uses) : null, (s.summary || (s.error ? s.error.message.split("\n")[0] : ""))), h("span.took", null, s.attempts.length > 1 && s.attempts[s.attempts.length - 1].number > 1 ? `${s.attempts.length} tries · ${took(s.elapsed)}` : s.kept ? "kept" : s.attempts.length ? took(s.elapsed) : "")));
    element.addEventListener("toggle", () => { if (element.open && !element.querySelector(".inside")) element.append(inside(s)); });
    return element;
  }
  function list() {
    const wanted = $("filter").value.toLowerCase(), only = $("changed").checked;
    const shown = steps.filter((s) => (!wanted || (s.id + " " + (s.uses || "")).toLowerCase().includes(wanted)) && (!only || ["changed", "failed", "undone"].includes(s.state)));
    $("list").replaceChildren();
    if (!shown.length) $("list").append(h("p.faint", null, "No step is like that."));
    else pages(shown, (s) => [details(s)], $("list"), 200);
  }
  function show(id) {
    const find = () => [...$("list").querySelectorAll("details")].find((d) => d.dataset.step === id);
    let element = find();
    if (!element) { $("filter").value = id; $("changed").checked = false; list(); element = find(); }
    if (!element) return;
    element.open = true;
    element.scrollIntoView({ block: "start" });
    element.querySelector("summary").focus({ preventScroll: true });
  }
  $("filter").addEventListener("input", list);
  $("changed").addEventListener("change", list);
  list();

  // ---- what moved

  const movers = steps.map((s) => ({ s, list: parts(s).filter((b) => b.unit === "bytes") })).filter((m) => m.list.length);
  if (!movers.length) $("moved").append(h("p.faint", null, "No step told of bytes that it moved."));
  else {
    const sum = (blobs) => blobs.reduce((n, b) => n + b.done, 0);
    const time = (blobs) => Math.max(1, Math.max(...blobs.map((b) => b.end)) - Math.min(...blobs.map((b) => b.begin)));
    const all = movers.flatMap((m) => m.list);
    $("moved").append(h("div.counts", null, h("div.count", null, h("b", null, bytes(sum(all))), h("span", null, "moved")), h("div.count", null, h("b", null, all.length.toLocaleString("en")), h("span", null, "blobs"))), h("div.card", { style: "margin-top:12px" }, h("table", null,
      h("thead", null, h("tr", null, h("th", null, "Step"), h("th.number", null, "Blobs"), h("th.number", null, "Bytes"), h("th.number", null, "Time"), h("th.number", null, "Speed"))),
      h("tbody", null, movers.slice(0, 500).map(({ s, list }) => h("tr", null, h("td", null, s.id), h("td.number", null, list.length), h("td.number", null, bytes(sum(list))), h("td.number", null, took(time(list))), h("td.number", null, time(list) < 20 ? "–" : bytes(sum(list) * 1000 / time(list)) + "/s")))))));
  }

  // ---- the log

  for (const s of steps.filter((s) => s.lines).slice(0, 1000)) $("of").append(h("option", { value: s.id }, s.id));
  function marked(line, low, wanted) {
    if (!wanted) return [line];
    const out = [];
    let from = 0;
    for (let at = low.indexOf(wanted); at >= 0; at = low.indexOf(wanted, from)) {
      out.push(line.slice(from, at), h("mark", null, line.slice(at, at + wanted.length)));
      from = at + wanted.length;
    }
    out.push(line.slice(from));
    return out;
  }
  function log() {
    const wanted = lower($("search").value), of = $("of").value, loud = $("loud").checked;
    const found = run.log.filter((l) => (!wanted || l.low.includes(wanted)) && (!of || l.step === of) && (!loud || l.level === "warning" || l.level === "error"));
    $("found").textContent = found.length === run.log.length ? plural(found.length, "line") : `${found.length.toLocaleString("en")} of ${plural(run.log.length, "line")}`;
    $("lines").replaceChildren();
    pages(found, (l) => [h("div." + l.level, null, h("time", { title: new Date(l.at).toISOString() }, "+" + ((l.at - first) / 1000).toFixed(3)), h("b", { title: l.step }, l.step || "pipe"), h("span", null, marked(l.line, l.low, wanted)))], $("lines"), 1000);
  }
  let later;
  $("search").addEventListener("input", () => { clearTimeout(later); later = setTimeout(log, 80); });
  $("of").addEventListener("change", log);
  $("loud").addEventListener("change", log);
  log();

  // ---- the page

  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || /INPUT|SELECT|TEXTAREA/.test(document.activeElement.tagName)) return;
    event.preventDefault();
    $("search").focus();
  });
  $("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  const links = [...document.querySelectorAll("nav a")];
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const link of links) if (link.hash === "#" + entry.target.id) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
    }
  }, { rootMargin: "-20% 0px -70% 0px" });
  for (const section of document.querySelectorAll("main section")) seen.observe(section);
  document.documentElement.dataset.ready = "true";
})();
