// Keeps the counts of the shows on screen live, and puts a copy button on each command. The page is whole without it.
"use strict";
const EVERY_MS = 2000;
const TIMEOUT_MS = 5000;
const live = document.getElementById("live");
const onScreen = new Set();

function setCount(row, name, value) {
  const cell = row.querySelector(`[data-count="${name}"]`);
  const text = value.toLocaleString("en-US");
  if (!cell || cell.textContent === text) return;
  cell.textContent = text;
  cell.classList.remove("changed");
  void cell.offsetWidth; // starts the animation again
  cell.classList.add("changed");
}

function setBar(row, type) {
  if (type.capacity <= 0) return;
  const sold = row.querySelector("rect.sold"), held = row.querySelector("rect.held");
  const percent = (n) => `${(100 * n) / type.capacity}%`;
  sold.setAttribute("width", percent(type.sold));
  held.setAttribute("x", percent(type.sold));
  held.setAttribute("width", percent(type.held));
}

async function refresh(card) {
  // The browser sends the ETag by itself, so a show where nothing moved costs a 304.
  const answer = await fetch(`/shows/${card.dataset.show}/availability`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!answer.ok) throw new Error(`${answer.status}`);
  for (const type of (await answer.json()).ticketTypes) {
    const row = card.querySelector(`[data-type="${type.ticketTypeId}"]`);
    if (!row) continue;
    for (const name of ["available", "held", "sold"]) setCount(row, name, type[name]);
    setBar(row, type);
  }
}

async function tick() {
  if (!document.hidden && onScreen.size > 0) {
    const done = await Promise.allSettled([...onScreen].map(refresh));
    const stale = done.some((result) => result.status === "rejected");
    const words = stale ? "Counts may be old, trying again…" : "● Counts are live";
    if (live.textContent !== words) live.textContent = words;
    live.classList.toggle("stale", stale);
  }
  setTimeout(tick, EVERY_MS);
}

const observer = new IntersectionObserver((entries) => {
  for (const entry of entries) entry.isIntersecting ? onScreen.add(entry.target) : onScreen.delete(entry.target);
});
for (const card of document.querySelectorAll("[data-show]")) observer.observe(card);
if (live) setTimeout(tick, EVERY_MS);

// A page that is not served over https or from localhost has no clipboard; then there is no button either.
for (const block of navigator.clipboard ? document.querySelectorAll("pre") : []) {
  const frame = document.createElement("div");
  frame.className = "command";
  block.replaceWith(frame);
  const button = document.createElement("button");
  button.className = "copy";
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(block.textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, EVERY_MS);
  });
  frame.append(block, button);
}
