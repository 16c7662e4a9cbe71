// Draws the page's diagrams at their own size, in the colours of the theme that the page has when it is opened.
const chosen = document.body.dataset.theme;
const dark = chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
const whole = { useMaxWidth: false };
mermaid.initialize({
  startOnLoad: true,
  securityLevel: "strict",
  theme: dark ? "dark" : "default",
  er: whole,
  flowchart: whole,
  sequence: whole,
  state: whole,
});
