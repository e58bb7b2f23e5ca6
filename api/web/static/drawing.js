// Charts on a page: loaded when they come into sight, drawn again when their data or the colours change, never more often
// than the eye can follow.

let library = null;
const loaded = (address) => (library ??= import(address));

const isSame = (one, other) => JSON.stringify(one) === JSON.stringify(other);

export class Card {
  // `make` returns {option, label, note, height, width, selection}, height and width in pixels and `width` the least one,
  // or {note} alone when there is nothing to draw. `selection` holds the intervals of each parallel axis; what somebody
  // selects there is told to `onSelect` as intervals by the axis's name.
  constructor(element, addresses, make) {
    this.element = element;
    this.addresses = addresses;
    this.make = make;
    this.place = element.querySelector(".chart");
    this.note = element.querySelector(".chart-note");
    this.isVisible = false;
    this.isStale = true;
    this.isFresh = true;
    this.isBusy = false;
    new IntersectionObserver(([entry]) => {
      this.isVisible = entry.isIntersecting;
      if (this.isVisible && this.isStale) this.draw();
    }, { rootMargin: "200px" }).observe(element);
    new ResizeObserver(() => this.chart?.resize()).observe(this.place);
    for (const select of element.querySelectorAll("select[data-option]")) {
      select.addEventListener("change", () => {
        this.isChosen = true;
        this.changed({ whole: true });
      });
    }
  }

  option(name) {
    return this.element.querySelector(`select[data-option="${name}"]`)?.value ?? "";
  }

  changed({ whole = false } = {}) {
    this.isStale = true;
    this.isFresh ||= whole;
    if (this.isVisible && !document.hidden) this.draw();
  }

  async draw() {
    if (this.isBusy || this.isHeld) return;
    this.isBusy = true;
    this.isStale = false;
    if (!this.chart && !this.note.textContent) this.note.textContent = "One moment …";
    try {
      const [{ init }, made] = await Promise.all([loaded(this.addresses.echarts), this.make(this)]);
      this.show(init, made);
    } catch (error) {
      this.note.textContent = error.message;
    } finally {
      this.isBusy = false;
      if (this.isStale && this.isVisible) this.draw();
    }
  }

  show(init, { option, note, height, width, label, selection }) {
    this.note.textContent = note ?? "";
    this.place.hidden = !option;
    this.element.dataset.drawn = option ? "yes" : "empty";
    if (!option) return;
    this.place.setAttribute("role", "img");
    this.place.setAttribute("aria-label", label);
    if (width) this.place.style.minWidth = `${width}px`;
    if (height) this.place.style.height = `${height}px`;
    if (!this.chart) {
      this.chart = init(this.place, null, { renderer: "canvas" });
      this.chart.on("click", ({ data }) => {
        if (data?.trial) location.assign(`/ui/trials/${data.trial}`);
      });
      if (this.onSelect) this.watchSelection();
    }
    this.chart.setOption(option, this.isFresh ? { notMerge: true } : { replaceMerge: ["series", "xAxis", "yAxis"] });
    this.chart.resize();
    this.isFresh = false;
    if (selection) this.select(selection);
  }

  axes() {
    const model = this.chart.getModel();
    return (model.getComponent("parallel")?.parallelAxisIndex ?? []).map((i) => model.getComponent("parallelAxis", i));
  }

  watchSelection() {
    let timer = null;
    this.chart.on("axisareaselected", () => {
      if (this.isSelecting) return;
      clearTimeout(timer);
      timer = setTimeout(() => {
        const changed = this.axes().filter((axis, i) => !isSame(axis.activeIntervals, this.selection?.[i] ?? []));
        if (changed.length) this.onSelect(Object.fromEntries(changed.map((axis) => [axis.option.name, axis.activeIntervals])));
      }, 250);
    });
    // Drawing anew would take the selection out of the hand that draws it.
    const release = () => {
      this.isHeld = false;
      if (this.isStale && this.isVisible) this.draw();
    };
    this.chart.getZr().on("mousedown", () => {
      this.isHeld = true;
      addEventListener("pointerup", () => setTimeout(release, 300), { once: true });
    });
  }

  select(selection) {
    this.isSelecting = true;
    this.selection = selection;
    this.axes().forEach((axis, i) => {
      if (!isSame(axis.activeIntervals, selection[i])) this.chart.dispatchAction({ type: "axisAreaSelect", parallelAxisId: axis.id, intervals: selection[i] });
    });
    // The library draws the bars of a selection with the axes alone.
    this.chart.setOption({});
    this.isSelecting = false;
  }
}

// Fetches data as JSON; the server's own words become the error's.
export const data = async (address) => {
  const answer = await fetch(address, { headers: { Accept: "application/json" }, credentials: "same-origin" });
  if (answer.status === 401) location.reload();
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(found.detail ? window.hpsearch.sentence(found.detail) : `The server answered ${answer.status}.`);
  return found;
};

// Calls `action` at once, and again at most every `pace` milliseconds while it is asked for.
export const paced = (action, pace) => {
  let last = -Infinity, timer = null;
  const run = () => {
    timer = null;
    last = performance.now();
    action();
  };
  return () => {
    if (timer !== null) return;
    const wait = last + (typeof pace === "function" ? pace() : pace) - performance.now();
    if (wait <= 0) run();
    else timer = setTimeout(run, wait);
  };
};

export const onColours = (redraw) => {
  document.addEventListener("hpsearch:theme", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
};
