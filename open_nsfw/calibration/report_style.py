"""The style sheet of report.html."""

from __future__ import annotations

# Every colour of text has a contrast of at least 4.5 to 1 on every ground that it is used on, as WCAG 2 AA asks.
STYLE = """
:root {
  --paper: #f6f7f9; --card: #fff; --ink: #1d2330; --soft: #545b68; --muted: #b3bac6; --line: #e2e5ea;
  --sfw: #2b7bba; --nsfw: #d9622b; --curve: #5b4bb5; --mark: #545b68; --warn: #fff4dc; --warn-line: #d89b17;
  --band0: #dcefe3; --band1: #fbeecb; --band2: #f8dcd0; --good: #17653a; --bad: #a8350f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171c; --card: #1d2128; --ink: #e4e7ec; --soft: #aab3c1; --muted: #4b535f; --line: #2e343d;
    --sfw: #5fa8e0; --nsfw: #f08a55; --curve: #a497f2; --mark: #b5bcc8; --warn: #352b15; --warn-line: #b9892a;
    --band0: #1d3a2a; --band1: #453a18; --band2: #4a2a1e; --good: #74cf9c; --bad: #ff9d78;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
main { max-width: 1080px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 0 0 6px; }
h3 { font-size: 15px; margin: 18px 0 6px; overflow-wrap: anywhere; }
.note, figcaption { color: var(--soft); margin: 0 0 12px; overflow-wrap: anywhere; }
code { font: 0.92em ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
section {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 18px 20px; margin-top: 18px;
}
dl, dd { margin: 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(200px, 100%), 1fr)); gap: 14px; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 16px; }
.tile dt { font-size: 13px; color: var(--soft); }
.tile b { display: block; font-size: 25px; line-height: 1.35; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.tile span { color: var(--soft); font-size: 13px; overflow-wrap: anywhere; }
.warning { background: var(--warn); border-color: var(--warn-line); }
.warning ul { margin: 0; }
ul { padding-left: 20px; margin: 4px 0 10px; }
li { overflow-wrap: anywhere; }
.promises { list-style: none; padding: 0; }
.promises b { margin-right: 4px; }
.kept { color: var(--good); }
.kept::before { content: "\\2713\\a0"; }
.broken { color: var(--bad); }
.broken::before { content: "\\2717\\a0"; }
.strip { display: flex; flex-wrap: wrap; gap: 3px; margin: 4px 0 14px; }
.band { flex-basis: 0; max-width: 100%; padding: 8px 12px; border-radius: 6px; overflow-wrap: break-word; }
.band b, .band span { display: block; }
.band span { font-size: 13px; }
.band0 { background: var(--band0); }
.band1 { background: var(--band1); }
.band2 { background: var(--band2); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 7px 14px 7px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 500; color: var(--soft); }
th[scope="row"] { min-width: 4.6em; overflow-wrap: anywhere; }
td small { color: var(--soft); white-space: nowrap; }
.count { display: block; font-size: 12.5px; color: var(--soft); }
.wrong { color: var(--bad); font-weight: 600; }
.pair {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(300px, 100%), 1fr)); gap: 10px 32px;
  margin-bottom: 14px;
}
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(340px, 100%), 1fr)); gap: 12px 28px; }
figure { margin: 0; }
figure h3 { margin: 8px 0 0; }
figure svg { width: 100%; height: auto; display: block; }
figure svg text { font-family: inherit; }
.wall { display: grid; grid-template-columns: repeat(auto-fill, minmax(132px, 1fr)); gap: 14px; }
.card { min-width: 0; }
.card > b { display: block; margin-top: 4px; font-variant-numeric: tabular-nums; }
.card > span[title] {
  display: block; font-size: 12.5px; color: var(--soft); overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap;
}
.card label, .none {
  display: block; aspect-ratio: 1; border-radius: 6px; overflow: hidden; background: var(--line); cursor: pointer;
}
.none { display: grid; place-items: center; color: var(--ink); font-size: 13px; cursor: default; }
.card input { position: absolute; opacity: 0; }
.card label:focus-within, .scroll:focus-visible, summary:focus-visible { outline: 2px solid var(--curve); outline-offset: 2px; }
.card img { width: 100%; height: 100%; object-fit: cover; filter: blur(14px) saturate(0.7); transform: scale(1.15); }
.card input:checked + img { filter: none; transform: none; object-fit: contain; }
details { margin: 6px 0; }
summary { cursor: pointer; color: var(--soft); }
.terms { display: grid; gap: 6px; }
.terms div { display: grid; grid-template-columns: 190px 1fr; gap: 2px 16px; }
.terms dt { color: var(--soft); }
.terms dd { overflow-wrap: anywhere; min-width: 0; }
@media (max-width: 560px) {
  main { padding: 18px 12px 40px; }
  section { padding: 14px 14px; }
  th, td { padding-right: 8px; }
  td small { display: block; white-space: normal; font-size: 12.5px; }
  .terms div { grid-template-columns: 1fr; }
}
@media print { .card img { filter: blur(14px) !important; } }
"""
