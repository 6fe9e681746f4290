// Twenty requests of one browser at once: each adds a cup, and none is lost.
const button = document.querySelector("#many");
button?.addEventListener("click", async () => {
  const said = document.querySelector("#said");
  const add = () => fetch("/add", {
    method: "POST",
    headers: { "Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ article: "Cup" }),
  });
  said.textContent = "…";
  const answers = await Promise.all(Array.from({ length: 20 }, add));
  const counts = await Promise.all(answers.filter((answer) => answer.ok).map((answer) => answer.json()));
  said.textContent = `${counts.length} of 20 acknowledged, ${Math.max(...counts.map(({ count }) => count))} cups there`;
});
