"use strict";
(() => {
  const root = document.documentElement;
  const store = {
    get() { try { return localStorage.getItem("hpbench-theme"); } catch { return null; } },
    set(value) { try { localStorage.setItem("hpbench-theme", value); } catch { /* not remembered, then */ } },
  };
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = store.get();
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;

  function theme() {
    const button = document.getElementById("theme");
    const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
    const say = () => { button.textContent = dark() ? "Light" : "Dark"; button.setAttribute("aria-label", `Switch to ${dark() ? "light" : "dark"} colours`); };
    button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; store.set(root.dataset.theme); say(); });
    system.addEventListener("change", say);
    button.hidden = false;
    say();
  }

  const plain = (text) => text.toLowerCase().normalize("NFKD").replace(/\d+/g, (digits) => digits.padStart(12, "0"));  // 9 before 10
  const key = (row, column, numeric) => {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    return numeric ? (text === "" ? NaN : Number(text)) : plain(text);
  };

  function sort(table, column, header) {
    const numeric = header.classList.contains("number");
    const sign = header.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of header.parentElement.cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", sign < 0 ? "descending" : "ascending");
    const missing = (value) => value === "" || Number.isNaN(value);
    const keyed = Array.from(table.tBodies[0].rows, (row) => [key(row, column, numeric), row]);
    const there = keyed.filter(([value]) => !missing(value)).sort(([a], [b]) => (a < b ? -sign : a > b ? sign : 0));
    arrange(table.tBodies[0], there.concat(keyed.filter(([value]) => missing(value))).map(([, row]) => row));
  }

  const AT_ONCE = 150;  // rows: more than a screen holds; those below are laid out afterwards, so that a long table answers at once
  const pending = new Map();
  function arrange(body, rows) {
    clearTimeout(pending.get(body));
    let shown = 0;
    for (const row of rows) row.classList.toggle("later", !row.hidden && ++shown > AT_ONCE);
    body.replaceChildren(...rows);  // without the white space between rows, which browsers would search again and again
    const more = () => {
      const late = body.querySelectorAll("tr.later");
      for (const row of Array.from(late).slice(0, AT_ONCE)) row.classList.remove("later");
      if (late.length > AT_ONCE) pending.set(body, setTimeout(more, 30));
    };
    pending.set(body, setTimeout(more, 30));
  }

  function tables() {
    for (const block of document.querySelectorAll(".table")) {
      const table = block.querySelector("table");
      for (const [column, header] of Array.from(table.tHead.rows[0].cells).entries()) {
        const button = document.createElement("button");
        button.type = "button";
        button.append(...header.childNodes);
        button.addEventListener("click", () => sort(table, column, header));
        header.append(button);
      }
      const filters = block.querySelector(".filters");
      if (filters) filter(table, filters);
    }
  }

  function filter(table, filters) {
    const search = filters.querySelector("input[type=search]");
    const boxes = Array.from(filters.querySelectorAll("input[type=checkbox]"));
    const output = filters.querySelector("output");
    const rows = Array.from(table.tBodies[0].rows, (row) => [row, row.textContent.toLowerCase()]);
    const show = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const verdicts = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
      let shown = 0;
      for (const [row, text] of rows) {
        row.hidden = !(words.every((word) => text.includes(word)) && (!boxes.length || verdicts.has(row.dataset.verdict)));
        shown += !row.hidden;
      }
      output.textContent = `${shown === rows.length ? "" : `${shown} of `}${rows.length} ${output.dataset.counted}`;
    };
    filters.addEventListener("input", show);
    filters.hidden = false;
    show();  // a browser may have kept what was typed before
  }

  function charts() {
    const tip = document.getElementById("tip");
    const hide = () => { tip.hidden = true; };
    const tell = (mark) => {
      tip.textContent = mark.getAttribute("aria-label");
      tip.hidden = false;
      const at = mark.querySelector(".dot").getBoundingClientRect();
      const left = Math.min(Math.max(8, at.left + at.width / 2 - tip.offsetWidth / 2), root.clientWidth - tip.offsetWidth - 8);
      const above = at.top - tip.offsetHeight - 10;
      tip.style.left = `${left + scrollX}px`;
      tip.style.top = `${(above > 4 ? above : at.bottom + 10) + scrollY}px`;
    };
    for (const chart of document.querySelectorAll("svg")) {
      const marks = Array.from(chart.querySelectorAll(".mark"));
      for (const [i, mark] of marks.entries()) {
        const title = mark.querySelector("title");
        mark.setAttribute("role", "img");
        mark.setAttribute("aria-label", title.textContent);
        mark.setAttribute("tabindex", i ? -1 : 0);
        title.remove();
        mark.addEventListener("pointerenter", () => tell(mark));
        mark.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") hide(); });
        mark.addEventListener("click", () => tell(mark));
        mark.addEventListener("focus", () => tell(mark));
        mark.addEventListener("blur", hide);
        mark.addEventListener("keydown", (event) => {
          const to = { ArrowRight: i + 1, ArrowDown: i + 1, ArrowLeft: i - 1, ArrowUp: i - 1, Home: 0, End: marks.length - 1 }[event.key];
          if (marks[to] === undefined) return;
          event.preventDefault();
          mark.setAttribute("tabindex", -1);
          marks[to].setAttribute("tabindex", 0);
          marks[to].focus();
        });
      }
    }
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
    document.addEventListener("pointerdown", (event) => { if (!event.target.closest(".mark")) hide(); });
  }

  function copying() {
    for (const button of document.querySelectorAll(".copy")) {
      const section = button.closest("section");
      const told = section.querySelector(".copied");
      button.addEventListener("click", async () => {
        const text = section.querySelector("pre");
        getSelection().selectAllChildren(text);  // shows what is meant, and lets a reader copy where a page may not
        try { await navigator.clipboard.writeText(text.textContent); told.textContent = "Copied."; }
        catch { told.textContent = document.execCommand("copy") ? "Copied." : "Selected: copy it with your keyboard."; }
      });
      button.hidden = false;
    }
  }

  addEventListener("DOMContentLoaded", () => { theme(); tables(); charts(); copying(); });
})();
