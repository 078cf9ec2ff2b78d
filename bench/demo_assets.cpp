#include "bench/demo_assets.hpp"

namespace rotagate::demo {

const std::string_view stylesheet = R"css(
:root {
    color-scheme: light dark;
    --ground: #f5f6f4; --card: #fff; --ink: #1d2420; --soft: #5d6862; --line: #dde2de;
    --accent: #0b6b4f; --on-accent: #fff; --good: #0b6b4f; --bad: #b3261e; --tint: #e6f2ec;
}
@media (prefers-color-scheme: dark) {
    :root {
        --ground: #121614; --card: #1b211e; --ink: #e6ebe8; --soft: #9aa69f; --line: #303934;
        --accent: #5fd0a5; --on-accent: #06251a; --good: #5fd0a5; --bad: #ff8a80; --tint: #1d322a;
    }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; }
header, main, footer { max-width: 46rem; margin: 0 auto; padding: 0 1rem; }
header { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem 1.25rem; padding-top: 1rem; padding-bottom: 1rem; }
header b { margin-right: auto; font-size: 1.05rem; white-space: nowrap; }
header b img { width: 1.35rem; height: 1.35rem; vertical-align: -.28rem; margin-right: .45rem; }
header .who { color: var(--soft); overflow-wrap: anywhere; }
a { color: var(--accent); text-underline-offset: .15em; }
nav { display: flex; gap: 1rem; }
nav a { text-decoration: none; }
nav a:hover { text-decoration: underline; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1.5rem; margin: 0 0 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .75rem; }
h2 { font-size: 1.05rem; margin: 0 0 .75rem; }
p { margin: 0 0 1rem; }
.card > :last-child { margin-bottom: 0; }
.soft, footer { color: var(--soft); font-size: .9rem; }
footer { padding-bottom: 2rem; }
label { display: block; margin: 0 0 1rem; font-weight: 600; }
label small { font-weight: 400; color: var(--soft); }
input[type=text], input[type=password] {
    display: block; width: 100%; margin-top: .3rem; padding: .6rem .7rem; font: inherit; color: inherit;
    background: var(--ground); border: 1px solid var(--line); border-radius: .5rem;
}
label.check { display: flex; gap: .55rem; align-items: center; font-weight: 400; }
input[type=checkbox] { width: 1.1rem; height: 1.1rem; accent-color: var(--accent); }
button, .button {
    display: inline-block; padding: .6rem 1.1rem; font: inherit; font-weight: 600; cursor: pointer; text-decoration: none;
    color: var(--on-accent); background: var(--accent); border: 1px solid var(--accent); border-radius: .5rem;
}
button.plain, .button.plain { color: var(--ink); background: transparent; border-color: var(--line); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.buttons { display: flex; flex-wrap: wrap; gap: .6rem; }
.buttons form { margin: 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .5rem 1.25rem; margin: 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
code { font: .9em ui-monospace, monospace; overflow-wrap: anywhere; }
.figure { font-size: 2.6rem; line-height: 1.1; font-weight: 700; color: var(--accent); margin: 0 0 .25rem; }
ol.visits { list-style: none; margin: 0; padding: 0; }
ol.visits li { display: flex; flex-wrap: wrap; gap: 0 1rem; justify-content: space-between; padding: .4rem 0; }
ol.visits li + li { border-top: 1px solid var(--line); }
ol.visits li code:last-child { color: var(--soft); }
.notice { border-left: .25rem solid var(--accent); background: var(--tint); padding: .7rem 1rem; border-radius: .3rem; }
.notice.bad { border-color: var(--bad); }
.notice.good { border-color: var(--good); font-weight: 600; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(6.5rem, 1fr)); gap: .5rem; }
.tiles img { display: block; width: 100%; aspect-ratio: 12 / 7; background: var(--ground); border-radius: .4rem; }
@media (max-width: 30rem) {
    header { padding-top: .75rem; }
    header b { width: 100%; }
    header nav { margin-right: auto; }
    .card { padding: 1.1rem; }
    dl { grid-template-columns: 1fr; gap: 0; }
    dd { margin-bottom: .6rem; }
    .tiles { grid-template-columns: repeat(auto-fill, minmax(5rem, 1fr)); }
}
)css";

const std::string_view parallel_script = R"js(
// Thirty requests at once, each with whatever cookie the browser holds at that moment: none may be refused.
const summary = document.getElementById("summary");
const expected = summary.dataset.user;

async function seenUser(number) {
    const answer = await fetch(`/tile/${number}?format=json`, { cache: "no-store" });
    return answer.ok ? (await answer.json()).user : null;
}

Promise.allSettled(Array.from({ length: 30 }, (_, index) => seenUser(index + 1))).then((results) => {
    const signedIn = results.filter((result) => expected && result.value === expected).length;
    summary.textContent = expected ? `${signedIn} of 30 signed in as ${expected}` : "Nobody is signed in";
    summary.classList.add(signedIn === 30 ? "good" : "bad");
});
)js";

const std::string_view icon = R"svg(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<circle cx="16" cy="16" r="15" fill="#0b6b4f"/>
<g fill="none" stroke="#fff" stroke-width="2.6" stroke-linecap="round" stroke-linejoin="round">
<path d="M24 16a8 8 0 1 1-2.6-5.9"/><path d="M22 5.6v5h-5"/></g>
<circle cx="16" cy="16" r="2.6" fill="#fff"/></svg>
)svg";

}  // namespace rotagate::demo
