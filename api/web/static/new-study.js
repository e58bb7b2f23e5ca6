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
  document.getElementById("use-form").addEventListener("click", () => {
    byHand(false);
    fields.dispatchEvent(new CustomEvent("recompose"));
  });
})();
