"""The style sheet of report.html."""

from __future__ import annotations

STYLE = """
:root {
  --paper: #f6f7f9; --card: #fff; --ink: #1d2330; --soft: #5f6673; --muted: #b3bac6; --line: #e2e5ea;
  --sfw: #2b7bba; --nsfw: #d9622b; --curve: #5b4bb5; --mark: #5f6673; --warn: #fff4dc; --warn-line: #d89b17;
  --band0: #dcefe3; --band1: #fbeecb; --band2: #f8dcd0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171c; --card: #1d2128; --ink: #e4e7ec; --soft: #9aa3b1; --muted: #4b535f; --line: #2e343d;
    --sfw: #5fa8e0; --nsfw: #f08a55; --curve: #a497f2; --mark: #aab2bf; --warn: #352b15; --warn-line: #b9892a;
    --band0: #1d3a2a; --band1: #453a18; --band2: #4a2a1e;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
main { max-width: 1080px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 26px; margin: 0 0 2px; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 0 0 6px; }
h3 { font-size: 15px; margin: 18px 0 6px; }
.note, figcaption { color: var(--soft); margin: 0 0 12px; }
code { font: 0.92em ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
section {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 18px 20px; margin-top: 18px;
}
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 14px; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 16px; }
.tile h3 { margin: 0; font-size: 13px; font-weight: 500; color: var(--soft); }
.tile b { display: block; font-size: 25px; line-height: 1.35; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 13px; overflow-wrap: anywhere; }
.warning { background: var(--warn); border-color: var(--warn-line); }
.warning ul { margin: 0; }
ul { padding-left: 20px; margin: 4px 0 10px; }
li { overflow-wrap: anywhere; }
.strip { display: flex; gap: 3px; margin: 4px 0 14px; }
.band { flex-basis: 0; min-width: 84px; padding: 8px 12px; border-radius: 6px; }
.band b, .band span { display: block; }
.band span { font-size: 13px; color: var(--soft); }
.band0 { background: var(--band0); }
.band1 { background: var(--band1); }
.band2 { background: var(--band2); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 7px 14px 7px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 500; color: var(--soft); }
td small { color: var(--soft); white-space: nowrap; }
.count { display: block; font-size: 12.5px; color: var(--soft); }
.wrong { color: var(--nsfw); font-weight: 600; }
.pair {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 10px 32px; margin-bottom: 14px;
}
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(340px, 1fr)); gap: 12px 28px; }
figure { margin: 0; }
figure h3 { margin: 8px 0 0; }
figure svg { width: 100%; height: auto; display: block; }
figure svg text { font-family: inherit; }
.wall { display: grid; grid-template-columns: repeat(auto-fill, minmax(132px, 1fr)); gap: 14px; }
.card > b { display: block; margin-top: 4px; font-variant-numeric: tabular-nums; }
.card > span:last-child {
  display: block; font-size: 12.5px; color: var(--soft); overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap;
}
.card label, .none {
  display: block; aspect-ratio: 1; border-radius: 6px; overflow: hidden; background: var(--line); cursor: pointer;
}
.none { display: grid; place-items: center; color: var(--soft); font-size: 13px; cursor: default; }
.card input { position: absolute; opacity: 0; }
.card label:focus-within { outline: 2px solid var(--curve); }
.card img { width: 100%; height: 100%; object-fit: cover; filter: blur(14px) saturate(0.7); transform: scale(1.15); }
.card input:checked + img { filter: none; transform: none; object-fit: contain; }
details { margin: 6px 0; }
summary { cursor: pointer; color: var(--soft); }
@media (max-width: 420px) { .plots, .pair { grid-template-columns: 1fr; } }
@media print { .card img { filter: blur(14px) !important; } }
"""
