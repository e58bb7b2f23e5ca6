// Dialogs with forms, and menus: opened by [data-opens], closed by [data-closes], sent without leaving the page.

export const dialogsOf = (root) => {
  root.addEventListener("click", (event) => {
    const opener = event.target.closest?.("[data-opens]");
    if (opener) document.getElementById(opener.dataset.opens).showModal();
    if (event.target.closest?.("[data-closes]")) event.target.closest("dialog").close();
  });
  root.addEventListener("submit", async (event) => {
    const dialog = event.target.closest("dialog");
    if (!dialog) return;
    event.preventDefault();
    const complaint = dialog.querySelector(".complaint");
    const button = dialog.querySelector("button[type=submit]");
    complaint.hidden = true;
    button.disabled = true;
    try {
      const answer = await fetch(event.target.action, {
        method: "POST", body: new URLSearchParams(new FormData(event.target)), headers: { Accept: "application/json" }, referrerPolicy: "same-origin",
      });
      const told = await answer.json();
      if (!answer.ok) throw new Error(window.hpsearch.sentence(told.detail));
      dialog.close();
      if (told.address) location.assign(told.address);
      else window.hpsearch.say(told.text, "good");
      window.htmx.trigger("#actions", "state-changed");
    } catch (error) {
      complaint.textContent = error instanceof TypeError ? "The server did not answer; try again." : error.message;
      complaint.hidden = false;
    } finally {
      button.disabled = false;
    }
  });
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target) || event.target.closest("[data-opens]")) menu.open = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
};
