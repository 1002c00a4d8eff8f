"use strict";
// Everything on the page can be read without this script. It sorts and filters tables, names the curve at the
// pointer or the keyboard's focus, and selects chapters by their tags.
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const make = (name, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
  };

  // Tables ---------------------------------------------------------------------------------------------------
  const words = (said) => said.toLowerCase().split(/\s+/).filter(Boolean);
  const text = (row, column) => row.cells[column].textContent.trim();
  const compare = (a, b) => {
    const [x, y] = [a, b].map((value) => (value === "" || value === "–" ? NaN : Number(value.replaceAll(",", ""))));
    if (isNaN(x) || isNaN(y)) {
      return isNaN(x) && isNaN(y) ? a.localeCompare(b) : isNaN(x) - isNaN(y);
    }
    return x - y;
  };

  function sort(table, header) {
    const descending = header.getAttribute("aria-sort") === "ascending";
    all("th", table.tHead).forEach((other) => other.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => (descending ? -1 : 1) * compare(text(a, header.cellIndex), text(b, header.cellIndex)));
    table.tBodies[0].append(...rows);
  }

  function filter(table, controls) {
    const outcome = controls.querySelector("select");
    const wanted = words(controls.querySelector("input").value);
    let count = 0;
    for (const row of table.tBodies[0].rows) {
      const said = [...row.cells].flatMap((cell) => words(cell.textContent));
      const fits = wanted.every((word) => said.some((one) => one.startsWith(word)));
      row.hidden = !fits || Boolean(outcome?.value && text(row, outcome.dataset.column) !== outcome.value);
      count += !row.hidden;
    }
    controls.querySelector("output").value = `${count} of ${table.tBodies[0].rows.length} rows`;
  }

  function prepare(table) {
    const headers = all("th", table.tHead);
    for (const header of headers) {
      header.replaceChildren(make("button", { type: "button", textContent: header.textContent }));
      header.addEventListener("click", () => sort(table, header));
    }
    const input = make("input", { type: "search", placeholder: "words or numbers" });
    const controls = make("div", { className: "controls" }, make("label", {}, "Only rows with ", input));
    const column = headers.findIndex((header) => header.textContent === "outcome");
    if (column >= 0) {
      const outcomes = [...new Set([...table.tBodies[0].rows].map((row) => text(row, column)))].sort();
      const options = ["", ...outcomes].map((value) => make("option", { value, textContent: value || "all" }));
      const select = make("select", {}, ...options);
      select.dataset.column = column;
      controls.append(make("label", {}, "outcome ", select));
    }
    controls.append(make("output"));
    controls.addEventListener("input", () => filter(table, controls));
    table.closest(".table").prepend(controls);
    filter(table, controls);
  }

  // Names of curves ------------------------------------------------------------------------------------------
  function choose(group) {
    const figure = group?.closest("figure");
    if (!figure) {
      return;
    }
    all(".chosen", figure).forEach((other) => other.classList.remove("chosen"));
    group.classList.add("chosen");
    figure.querySelector("output").value = group.getAttribute("aria-label");
  }

  function leave(figure) {
    all(".chosen", figure).forEach((group) => group.classList.remove("chosen"));
    figure.querySelector("output").value = "";
  }

  // One curve of a picture is in the order of the Tab key; the arrows lead to the others.
  function step(group, event) {
    const groups = all(".named", group.closest("svg"));
    const place = groups.indexOf(group);
    const to = { ArrowRight: place + 1, ArrowDown: place + 1, ArrowLeft: place - 1, ArrowUp: place - 1, Home: 0, End: -1 }[event.key];
    if (to === undefined) {
      return;
    }
    event.preventDefault();
    const next = groups.at(to % groups.length);
    group.setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  }

  function named(figure) {
    all(".named", figure).forEach((group, place) => {
      group.setAttribute("tabindex", place ? "-1" : "0");
      all("title", group).forEach((title) => title.remove()); // the name is shown below the picture
    });
    figure.addEventListener("pointerover", (event) => choose(event.target.closest(".named")));
    figure.addEventListener("pointerleave", () => leave(figure));
    figure.addEventListener("focusin", (event) => choose(event.target.closest(".named")));
    figure.addEventListener("focusout", () => leave(figure));
    figure.addEventListener("keydown", (event) => {
      const group = event.target.closest(".named");
      if (group) {
        step(group, event);
      }
    });
  }

  // Copying, tags and contents -------------------------------------------------------------------------------
  function copyable(box) {
    const button = make("button", { type: "button", textContent: "Copy" });
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(box.querySelector("pre").textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(box.querySelector("pre")); // a page on a disk may not write the clipboard
        button.textContent = "Selected";
      }
    });
    box.append(button);
  }

  function select() {
    const chosen = all("[data-tag][aria-pressed=true]").map((button) => button.dataset.tag);
    for (const chapter of all("[data-tags]")) {
      const own = chapter.dataset.tags.split("|");
      chapter.hidden = chosen.length > 0 && !chosen.some((tag) => own.includes(tag));
    }
  }

  function tags(box) {
    box.hidden = false;
    box.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) {
        button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
        select();
      }
    });
  }

  function follow() {
    const links = new Map(all("nav a").map((link) => [link.getAttribute("href").slice(1), link]));
    const seen = new IntersectionObserver((entries) => {
      for (const entry of entries.filter((one) => one.isIntersecting)) {
        links.forEach((link) => link.removeAttribute("aria-current"));
        links.get(entry.target.id)?.setAttribute("aria-current", "true");
      }
    }, { rootMargin: "-10% 0px -80% 0px" });
    all("main section").forEach((section) => seen.observe(section));
  }

  all("table.sortable").forEach(prepare);
  all("figure").filter((figure) => figure.querySelector("output")).forEach(named);
  all(".copy").forEach(copyable);
  all("fieldset.tags").forEach(tags);
  follow();
  addEventListener("beforeprint", () => all("details").forEach((details) => {
    details.dataset.was = details.open;
    details.open = details.matches(".configuration") || details.open;
  }));
  addEventListener("afterprint", () => all("details").forEach((details) => (details.open = details.dataset.was === "true")));
})();
