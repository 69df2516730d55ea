// Nothing here is needed: ages that go on, a filter while one types, a moment picked from the timeline.
"use strict";

const loaded = Date.now();
const shown = Number(document.body.dataset.now);
// By the server's clock, whatever this machine's says.
const now = () => shown + (Date.now() - loaded);
const STALE = 15 * 60 * 1000;
const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

function inShort(milliseconds) {
  const seconds = milliseconds / 1000;
  if (seconds < 10) return `${Math.max(0, Math.floor(seconds))} s`;
  const [size, unit] = UNITS.find(([one]) => seconds >= 2 * one);
  return `${Math.floor(seconds / size)} ${unit}`;
}

function age() {
  for (const time of document.querySelectorAll("time[data-ago]")) {
    const past = now() - Date.parse(time.dateTime);
    time.textContent = past >= 0 ? `${inShort(past)} ago` : `in ${inShort(-past)}`;
  }
  const old = now() - shown;
  const banner = document.querySelector(".aged");
  if (banner && old > 60 * 1000) {
    banner.hidden = false;
    banner.querySelector("[data-page-age]").textContent = inShort(old);
  }
  // What was well when the page was made is not known to be so any more.
  if (old > STALE && "live" in document.body.dataset) {
    for (const icon of document.querySelectorAll("main svg.icon.good")) icon.remove();
    for (const one of document.querySelectorAll("main .good")) {
      one.classList.replace("good", "unknown");
      if (one.matches(".word")) one.querySelector("span").textContent = "not known any more";
      else if (!one.matches(".verdict")) one.append(" then");
    }
  }
}

function filter(input) {
  const rows = document.getElementById(input.dataset.filter).querySelectorAll("tr[data-name]");
  input.addEventListener("input", () => {
    for (const row of rows) row.hidden = !row.dataset.name.includes(input.value.trim());
  });
}

function timeline(svg) {
  const [begin, end, left, right] = ["begin", "end", "left", "right"].map((name) => Number(svg.dataset[name]));
  const cursor = svg.querySelector(".cursor");
  const pick = document.getElementById("pick");
  const restore = pick.querySelector("a");
  let at = null;

  function choose(moment, bar) {
    at = Math.min(Math.max(moment, Number(bar.dataset.begin)), Number(bar.dataset.end));
    const x = left + ((at - begin) / (end - begin)) * (right - left);
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    cursor.setAttribute("visibility", "visible");
    const iso = new Date(at).toISOString().slice(0, 19) + "Z";
    pick.hidden = false;
    pick.querySelector("span").textContent = `To ${iso.replace("T", " ")}`;
    restore.href = `${restore.pathname}?at=${encodeURIComponent(iso)}`;
    bar.setAttribute("href", restore.getAttribute("href"));
  }

  for (const bar of svg.querySelectorAll("a.window")) {
    bar.addEventListener("click", (event) => {
      if (event.detail === 0) return; // the Enter key: follow the link to what is chosen
      event.preventDefault();
      const box = svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
      choose(begin + ((x - left) / (right - left)) * (end - begin), bar);
    });
    bar.addEventListener("keydown", (event) => {
      const direction = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!direction) return;
      event.preventDefault();
      const step = event.ctrlKey ? 1000 : event.shiftKey ? 24 * 3600 * 1000 : event.altKey ? 60 * 1000 : 3600 * 1000;
      choose((at === null ? Number(bar.dataset.end) : at) + direction * step, bar);
    });
  }

  // One stop of the tab key a lane; arrows lead from mark to mark.
  for (const lane of svg.querySelectorAll(".lane")) {
    const marks = [...lane.querySelectorAll("a.mark")];
    marks.forEach((mark, index) => {
      mark.setAttribute("tabindex", index === marks.length - 1 ? "0" : "-1");
      mark.addEventListener("keydown", (event) => {
        const next = marks[index + ({ ArrowLeft: -1, ArrowRight: 1 }[event.key] || NaN)];
        if (!next) return;
        event.preventDefault();
        mark.setAttribute("tabindex", "-1");
        next.setAttribute("tabindex", "0");
        next.focus();
      });
    });
  }
}

age();
setInterval(age, 1000);
document.querySelectorAll("input[data-filter]").forEach(filter);
const drawn = document.getElementById("timeline");
if (drawn) timeline(drawn);
// Somebody who only looks sees what is newest; whoever does something is left in peace. Never a page that answers
// a form: loading that anew would send it again.
let busy = false;
for (const what of ["keydown", "pointerdown"]) addEventListener(what, () => { busy = true; });
if ("live" in document.body.dataset) setInterval(() => { if (!busy && document.visibilityState === "visible") location.reload(); }, 60 * 1000);
