"""Films with their scores -> one HTML file: a chart for each, its peaks as blurred pictures, and a table of all.

Everything is inside the file, which loads nothing from anywhere. Charts are SVG without text, so that they fit any width;
what they show is also said in words and tables.
"""

from __future__ import annotations

from collections.abc import Sequence

from open_nsfw.calibration.report_parts import Html, blurred_picture, document, element, joined, listing, section, table
from open_nsfw.scan.segments import Moment, segments
from open_nsfw.scoring.fast import THRESHOLDS
from open_nsfw.timeline.films import Film, Peak, Track

WIDTH, HEIGHT = 1000, 100  # units of a chart, whatever its pixels
MOST_POINTS = 2000  # of a line; of more, the highest and lowest of each stretch stay
MOST_SEGMENTS = 100  # of one track that are listed
STYLE = """
h2 { overflow-wrap: anywhere; }
.chart { display: grid; grid-template-columns: auto 1fr; gap: 2px 8px; margin: 10px 0 14px; }
.chart svg { width: 100%; height: 150px; display: block; background: var(--paper); border: 1px solid var(--line); }
.chart polyline { fill: none; stroke: var(--curve); stroke-width: 1.6; vector-effect: non-scaling-stroke; }
.chart line { stroke: var(--mark); stroke-width: 1; stroke-dasharray: 4 4; vector-effect: non-scaling-stroke; }
.chart rect { fill: var(--nsfw); opacity: 0.28; }
.chart .peak { stroke: var(--nsfw); stroke-width: 2; stroke-dasharray: none; }
.levels { position: relative; width: 2.4em; font-size: 12.5px; color: var(--soft); }
.levels span { position: absolute; right: 0; transform: translateY(-50%); font-variant-numeric: tabular-nums; }
.times { grid-column: 2; display: flex; justify-content: space-between; font-size: 12.5px; color: var(--soft); }
"""


def page(films: Sequence[Film], title: str, thresholds: Sequence[float] = THRESHOLDS, thumbnails: bool = True) -> str:
    """The HTML of these films, those with the highest scores first. `thresholds`, rising, are drawn as lines; stretches at or
    above the last one are marked and listed."""
    tracks = sorted((track for film in films for track in film.tracks), key=lambda track: -track.highest.score)
    unread = [f"{film.name}: {error}" for film in films for error in film.errors]
    stills = sum(film.is_still for film in films)
    left_out = (
        []
        if not stills
        else [f"{stills:,} {'pictures are' if stills > 1 else 'picture is'} left out: no time passes in them."]
    )
    parts = [
        element("h1", title),
        element("p", " ".join([_lines(thresholds), *left_out]), class_="note"),
        _overview(tracks, thresholds),
        *(_film(number, track, thresholds, thumbnails) for number, track in enumerate(tracks)),
        section("What could not be read or scored", listing(unread), class_="warning") if unread else Html(),
    ]
    return document(title, parts, STYLE)


def clock(seconds: float) -> str:
    """`4:07`, `1:02:03`; `4:07.5` where it is no whole second."""
    whole = round(seconds, 1)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(int(minutes), 60)
    tail = f"{int(rest):02d}" if rest == int(rest) else f"{rest:04.1f}"
    return f"{hours}:{minutes:02d}:{tail}" if hours else f"{minutes}:{tail}"


def when(moment: Moment) -> str:
    """When a frame is shown, or where there are no times, which it is."""
    return f"frame {moment.frame}" if moment.seconds is None else clock(moment.seconds)


def _lines(thresholds: Sequence[float]) -> str:
    values = " and ".join(f"{threshold:g}" for threshold in thresholds)
    line = "The dashed lines are" if len(thresholds) > 1 else "The dashed line is"
    return f"{line} at {values}; what is at or above {thresholds[-1]:g} is shaded, and peaks are marked."


def _overview(tracks: Sequence[Track], thresholds: Sequence[float]) -> Html:
    if not tracks:
        return section("Films", element("p", "No video with a scored frame was found."))
    rows = []
    for number, track in enumerate(tracks):
        high = sum(moment.score >= thresholds[-1] for moment in track.moments)
        link = element("a", track.name, href=f"#film{number}")
        highest = track.highest
        rows.append(
            [
                link,
                f"{highest.score:.4f}",
                when(highest),
                f"{high:,} of {len(track.moments):,}",
                when(track.moments[-1]),
            ]
        )
    head = ["film", "highest score", "at", f"frames at or above {thresholds[-1]:g}", "length"]
    return section("Films", table("Films", head, rows))


def _film(number: int, track: Track, thresholds: Sequence[float], thumbnails: bool) -> Html:
    highest = track.highest
    note = f"Highest {highest.score:.4f} at {when(highest)}; {len(track.moments):,} frames were scored."
    parts = [_chart(track, thresholds), _stretches(track, thresholds[-1])]
    peaks = _shown_peaks(track, thresholds)
    if thumbnails:
        cards = joined(
            element(
                "div",
                blurred_picture(
                    peak.thumbnail, f"show {track.name} at {when(peak.moment)}, score {peak.moment.score:.4f}"
                )
                + element("b", f"{peak.moment.score:.4f}")
                + element("span", f"at {when(peak.moment)}, frame {peak.moment.frame}"),
                class_="card",
            )
            for peak in peaks
        )
        parts.append(
            element("h3", "Peaks") + element("p", "Click a picture to see it, again to hide it.", class_="note")
        )
        parts.append(element("div", cards, class_="wall"))
    body = element("h2", track.name) + element("p", note, class_="note") + joined(parts)
    return element("section", body, id=f"film{number}")


def _shown_peaks(track: Track, thresholds: Sequence[float]) -> Sequence[Peak]:
    """The highest, and the others that reach the lowest threshold."""
    return [peak for index, peak in enumerate(track.peaks) if index == 0 or peak.moment.score >= thresholds[0]]


def _stretches(track: Track, threshold: float) -> Html:
    found = segments(track.moments, threshold)
    if not found:
        return element("p", f"No frame is at or above {threshold:g}.")
    rows = [
        [when(each.first), when(each.last), f"{each.highest:.4f}", f"{each.mean:.4f}", f"{each.count:,}"]
        for each in found[:MOST_SEGMENTS]
    ]
    more = "" if len(found) <= MOST_SEGMENTS else f"{len(found) - MOST_SEGMENTS:,} more are not listed."
    name = f"Stretches of {track.name} at or above {threshold:g}"
    listed = table(name, ["from", "to", "highest", "mean", "frames"], rows)
    return element("h3", f"At or above {threshold:g}") + listed + (element("p", more) if more else "")


def _chart(track: Track, thresholds: Sequence[float]) -> Html:
    moments, places = track.moments, _places(track)
    marks = [_level(threshold) for threshold in thresholds]
    marks += [_shade(places, each.first, each.last) for each in segments(moments, thresholds[-1])]
    marks += [_peak(places[peak.moment.frame], peak.moment.score) for peak in _shown_peaks(track, thresholds)]
    points = " ".join(
        f"{x:.1f},{HEIGHT * (1 - score):.2f}" for x, score in _thinned([(places[m.frame], m.score) for m in moments])
    )
    highest = track.highest
    words = f"Score over time of {track.name}: the highest is {highest.score:.4f} at {when(highest)}."
    drawn = Html("".join(marks) + f'<polyline points="{points}"/>')
    svg = Html(
        f'<svg role="img" aria-label="{element("i", words)[3:-4]}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'preserveAspectRatio="none">{drawn}</svg>'
    )
    levels = joined(
        Html(f'<span style="top: {100 * (1 - level):g}%">{level:g}</span>') for level in (0.0, *thresholds, 1.0)
    )
    middle = moments[len(moments) // 2]
    times = joined(element("span", when(each)) for each in (moments[0], middle, moments[-1]))
    return element(
        "div",
        element("div", levels, class_="levels", aria_hidden="true") + svg + element("div", times, class_="times"),
        class_="chart",
    )


def _places(track: Track) -> dict[int, float]:
    """Where each frame is across the chart: by time, or where that is unknown, by number."""
    timed = track.is_timed
    values = [m.seconds if timed and m.seconds is not None else float(m.frame) for m in track.moments]
    first, last = min(values), max(values)
    span = (last - first) or 1.0
    return {m.frame: WIDTH * (value - first) / span for m, value in zip(track.moments, values)}


def _level(threshold: float) -> str:
    y = HEIGHT * (1 - threshold)
    return f'<line x1="0" x2="{WIDTH}" y1="{y:g}" y2="{y:g}"/>'


def _shade(places: dict[int, float], first: Moment, last: Moment) -> str:
    left, right = places[first.frame], places[last.frame]
    return f'<rect x="{left:.1f}" y="0" width="{max(right - left, 2):.1f}" height="{HEIGHT}"/>'


def _peak(x: float, score: float) -> str:
    top = HEIGHT * (1 - score)
    return f'<line class="peak" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.2f}" y2="{min(top + 8, HEIGHT):.2f}"/>'


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """As many points as can be seen: of each stretch the lowest and the highest, in their order."""
    if len(points) <= MOST_POINTS:
        return points
    step = -(-2 * len(points) // MOST_POINTS)
    kept: list[tuple[float, float]] = []
    for start in range(0, len(points), step):
        stretch = points[start : start + step]
        ends = {min(stretch, key=lambda point: point[1]), max(stretch, key=lambda point: point[1])}
        kept += sorted(ends)
    return kept
