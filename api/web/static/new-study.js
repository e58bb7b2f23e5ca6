// The form for a new study: while somebody writes the definition by hand, its fields rest.
(() => {
  const fields = document.getElementById("fields");
  const all = document.getElementById("all-fields");

  const byHand = (on) => {
    all.disabled = on;
    document.getElementById("by-hand").hidden = !on;
  };

  document.addEventListener("input", (event) => {
    if (event.target.id !== "yaml" || all.disabled) return;
    byHand(true);
    // What the fields were about to write must not take the place of what a person writes now.
    fields.dispatchEvent(new CustomEvent("htmx:abort"));
  });
  fields.addEventListener("htmx:before:request", (event) => {
    if (all.disabled) event.preventDefault();
  });

  // What is complained about is marked where it was written, and unfolded.
  const faulty = (path) => {
    const parts = path.split(".");
    const [first, second] = parts;
    const names = [path, parts.join("_"), first, parts.at(-1)];
    const ofRow = first === "space" && second ? `${second}.` : null;
    const found = [...all.querySelectorAll("input, select")].filter((field) => (ofRow ? field.name.startsWith(ofRow) : names.includes(field.name)));
    const written = found.filter((field) => field.type !== "checkbox" && field.value);
    return written.length ? written : found;
  };
  const mark = () => {
    for (const field of all.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
    for (const { dataset } of document.querySelectorAll("#preview [data-field]")) {
      for (const field of dataset.field ? faulty(dataset.field) : []) {
        field.setAttribute("aria-invalid", "true");
        const fold = field.closest("details");
        if (fold) fold.open = true;
      }
    }
  };
  new MutationObserver(mark).observe(document.getElementById("preview"), { childList: true, subtree: true });

  document.getElementById("use-form").addEventListener("click", () => {
    byHand(false);
    fields.dispatchEvent(new CustomEvent("recompose"));
  });
})();
