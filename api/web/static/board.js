// The board of a study: sorted, filtered and paged by the server, its columns chosen by the viewer, its rows ticked.

const MOST = 12;

// Conditions of a filter by the column they are about, in the order written; see `trial_filter` on the server.
export const conditions = (where) => where.split(",").map((part) => part.trim()).filter(Boolean).map((part) => {
  const [, name, operator, right] = /^([A-Za-z_]\w*)\s*(<=|>=|!=|=|<|>)\s*(.*)$/s.exec(part) ?? [];
  return { part, name, operator, right };
});

// `root` holds the board, `base` is the address of the study, `running` gives the ids of trials under way.
export const boardOf = (root, base, running) => {
  const query = (selector) => root.querySelector(selector);
  const asked = new URLSearchParams(location.search);
  const choice = Object.fromEntries(
    Object.entries({ sort: "rank", order: "asc", state: "", kind: "", where: "" }).map(([name, usual]) => [name, asked.get(name) ?? usual]));
  let trail = [asked.get("page_token") ?? ""];
  let isLoading = false, isWanted = false;
  const listeners = { shown: [], filtered: [], picked: [] };
  const tell = (event) => listeners[event].forEach((listener) => listener());

  const address = () => {
    const params = new URLSearchParams();
    for (const [name, value] of Object.entries({ ...choice, page_token: trail.at(-1) })) {
      if (value && !(name === "sort" && value === "rank") && !(name === "order" && value === "asc")) params.set(name, value);
    }
    const text = params.toString();
    return text ? `?${text}` : "";
  };

  const load = async () => {
    isWanted = true;
    if (isLoading) return;
    isLoading = true;
    try {
      while (isWanted) {
        isWanted = false;
        await window.htmx.ajax("GET", `${base}/board${address()}`, { target: "#board", swap: "innerMorph" });
        shown();
      }
    } finally {
      isLoading = false;
    }
  };

  const toTop = () => { if (query(".board").getBoundingClientRect().top < 0) query(".board").scrollIntoView(); };
  const choose = (changes, { stay = false } = {}) => {
    const before = choice.where;
    Object.assign(choice, changes);
    trail = [""];
    history.replaceState(null, "", location.pathname + address());
    load().then(() => { if (!stay) toTop(); });
    if (choice.where !== before) {
      const field = query("#board-where");
      if (field.value.trim() !== choice.where) field.value = choice.where;
      tell("filtered");
    }
  };
  const turn = (to) => {
    to();
    load().then(toTop);
  };

  root.addEventListener("click", ({ target }) => {
    const sort = target.closest?.("button.sort");
    if (sort) {
      // Ranks always rise: the best comes first.
      const isSame = choice.sort === sort.dataset.sort && choice.sort !== "rank";
      const turned = !isSame ? sort.dataset.first : choice.order === "asc" ? "desc" : "asc";
      choose({ sort: sort.dataset.sort, order: turned });
    }
    const act = {
      "board-next": () => turn(() => trail.push(query("#board-page").dataset.next)),
      "board-back": () => turn(() => { if (trail.length > 1) trail.pop(); else trail = [""]; }),
      "board-first": () => turn(() => { trail = [""]; }),
      "clear-filter": () => choose({ where: "" }),
      "clear-selection": () => choose({ where: "" }, { stay: true }),
    }[target.id];
    act?.();
    const state = target.dataset?.show;
    if (state) {
      query("#board-state").value = state;
      choose({ state });
      query(".board").scrollIntoView();
    }
  });
  query("#board-state").addEventListener("change", (event) => choose({ state: event.target.value }));
  query("#board-kind").addEventListener("change", (event) => choose({ kind: event.target.value }));
  let typing = null;
  query("#board-where").addEventListener("input", (event) => {
    clearTimeout(typing);
    typing = setTimeout(() => choose({ where: event.target.value.trim() }, { stay: true }), 350);
  });
  query("#board-filter").addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(typing);
    choose({ where: query("#board-where").value.trim() }, { stay: true });
  });

  // Which columns are shown is remembered for each study

  const KEY = `hpsearch.columns.${root.dataset.study}`;
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets.push(sheet);
  const boxes = [...root.querySelectorAll("#board-columns input")];
  const hide = (names) => sheet.replaceSync(names.map((name) => `#board [data-column="${CSS.escape(name)}"] { display: none; }`).join("\n"));
  const kept = (() => {
    try {
      return JSON.parse(localStorage.getItem(KEY));
    } catch {
      return null;
    }
  })();
  const hidden = new Set(Array.isArray(kept) ? kept : ["state", "duration_s"]);
  for (const box of boxes) box.checked = !hidden.has(box.value);
  hide([...hidden]);
  query("#board-columns").addEventListener("change", () => {
    const names = boxes.filter((box) => !box.checked).map((box) => box.value);
    hide(names);
    try {
      localStorage.setItem(KEY, JSON.stringify(names));
    } catch {
      // A browser that keeps nothing forgets the choice with the page.
    }
  });

  // Trials that are ticked; until somebody ticks one, the first rows and what runs now

  let picked = null;
  const rows = () => [...root.querySelectorAll("#board input[name=curve]")];
  const numbers = new Map();
  const selected = () => picked ?? [...rows().slice(0, 5).map((box) => box.value), ...running().slice(0, 3)].filter((id, i, all) => all.indexOf(id) === i);

  function shown() {
    const ticked = new Set(selected());
    for (const box of rows()) {
      numbers.set(box.value, box.dataset.number);
      box.checked = ticked.has(box.value);
    }
    query("#board-back")?.toggleAttribute("disabled", trail.length < 2 && !trail[0]);
    const compared = [...ticked].map((id) => numbers.get(id)).filter(Boolean);
    const compare = query("#compare");
    compare.hidden = compared.length < 2;
    compare.href = `${base}/compare?trials=${compared.join(",")}`;
    compare.textContent = `Compare ${compared.length} trials`;
    tell("shown");
  }
  root.addEventListener("change", (event) => {
    if (event.target.name !== "curve") return;
    const ticked = new Set(selected());
    if (event.target.checked) ticked.add(event.target.value);
    else ticked.delete(event.target.value);
    picked = [...ticked].slice(-MOST);
    shown();
    tell("picked");
  });

  return {
    choice, choose, load, shown, numbers,
    selected: () => selected().slice(0, MOST),
    isPicked: () => picked !== null,
    hasRows: () => rows().length > 0,
    on: (event, listener) => listeners[event].push(listener),
  };
};
