#!/usr/bin/env python3
"""Draws the timeline of a run, its trace.pftrace, as an SVG picture, or sums it up in a table.

One row per queue of each device, a colour per job. A copy has the colour of its unit, so that what
is loaded ahead shows as a new colour under the old one. Reads only traces that Spillway wrote, up
to the last whole packet. Tested by tests/cli/test_trace_svg.py.
"""
import argparse
import bisect
import collections
import itertools
import math
import shlex
import sys
import types
from xml.sax.saxutils import escape

Slice = collections.namedtuple("Slice", "name begin_ns end_ns notes")
NO_TRACE = "this is no trace of Spillway's"


# ---- reading ----

def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
        if byte < 0x80:
            return value, at


def fields(data):
    """Yields (number, value) of a message: an int, or bytes."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        value, at = varint(data, at)
        if key & 7 == 2:
            if at + value > len(data):
                raise IndexError
            value, at = data[at:at + value], at + value
        elif key & 7 != 0:
            raise ValueError(NO_TRACE)
        yield key >> 3, value


def take_event(tracks, time_ns, data):
    event, notes = {}, {}
    for number, value in fields(data):
        event[number] = value
        if number == 4:
            note = dict(fields(value))
            notes[note[10].decode()] = note[3]
    track = tracks[event[11]]
    if event[9] == 1:
        track.open = event[23].decode(), time_ns, notes
    elif event[9] == 2:
        name, begin_ns, notes = track.open
        track.slices.append(Slice(name, begin_ns, time_ns, notes))


def read(path):
    """The tracks of a trace by number, in the order of the file."""
    with open(path, "rb") as file:
        data = file.read()
    tracks = {}
    try:
        for _, packet in fields(data):
            packet = dict(fields(packet))
            if 60 in packet:
                track = dict(fields(packet[60]))
                tracks[track[1]] = types.SimpleNamespace(
                    name=track[2].decode(), parent=track.get(5), is_counter=8 in track, slices=[])
            else:
                take_event(tracks, packet[8], packet[11])
    except IndexError:
        print(f"{path}: the last packet is cut off", file=sys.stderr)
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise ValueError(NO_TRACE) from error
    return tracks


def devices_of(tracks):
    """[(device's name, its queues)]; tracks without children are jobs'."""
    tracks = {uuid: track for uuid, track in tracks.items() if not track.is_counter}
    for uuid, device in tracks.items():
        queues = [track for track in tracks.values() if track.parent == uuid]
        if queues:
            yield device.name, queues


# ---- summing up ----

def clipped(slices, window):
    """[(begin, end)] within the window; those of one queue never overlap."""
    return [(max(piece.begin_ns, window[0]), min(piece.end_ns, window[1])) for piece in slices
            if piece.end_ns > window[0] and piece.begin_ns < window[1]]


def length(intervals):
    return sum(end - begin for begin, end in intervals)


def common(intervals, others):
    """Nanoseconds of the intervals that lie within the others; both sorted, none overlapping."""
    ends, total = [end for _, end in others], 0
    for begin, end in intervals:
        for i in range(bisect.bisect_right(ends, begin), len(others)):
            if others[i][0] >= end:
                break
            total += min(end, others[i][1]) - max(begin, others[i][0])
    return total


def print_summary(tracks, window):
    print(f"{'track':<20}{'slices':>8}{'busy s':>12}{'busy %':>8}{'bytes':>15}{'hidden %':>10}")
    for _, queues in devices_of(tracks):
        for queue in queues:
            busy = clipped(queue.slices, window)
            part = 100 * length(busy) / (window[1] - window[0])
            line = f"{queue.name:<20}{len(busy):>8}{length(busy) * 1e-9:>12.6f}{part:>8.1f}"
            if queue is not queues[0]:
                moved = sum(piece.notes.get("bytes", 0) for piece in queue.slices
                            if window[0] < piece.end_ns <= window[1])
                under = common(busy, clipped(queues[0].slices, window))
                line += f"{moved:>15}{100 * under / max(length(busy), 1):>10.1f}"
            print(line)
    begin_s, end_s = window[0] * 1e-9, window[1] * 1e-9
    print(f"{begin_s:.6f} s to {end_s:.6f} s; hidden: copied while the device computed")


# ---- drawing ----

LEFT, RIGHT, WIDTH = 116, 912, 960  # where time begins and ends; of the picture
COLOURS = ["a9c9f2 2a68b8", "f9c795 c9660a", "a2dcc0 1d8356", "ddb8ea 9a3bb0", "f5b4bb c2364a",
           "9cdade 10808a", "e3d08f 866a1c", "c5c7f4 585cc4", "d0dd95 647518", "f0b2d2 ad3070",
           "c2cdda 53657a", "ddbfab 7a4a2b"]
LETTERS = {"forward": "F", "backward": "B", "eval": "E", "reduce": "R", "update": "U"}
MIDDLE, END, BOLD = ' text-anchor="middle"', ' text-anchor="end"', ' font-weight="600"'
HELP = ("F forward (light) · B backward · E evaluation · U update · the number is the shard · "
        "a copy has the colour of its unit")


def text(x, y, words, size=11, fill="#57606a", more=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}"{more}>'
            f'{escape(words)}</text>')


def box(x, y, width, height, colour, tip):
    return (f'<rect x="{x:.1f}" y="{y}" width="{max(width, 0.5):.1f}" height="{height}" rx="1.5" '
            f'fill="#{colour}"><title>{escape(tip)}</title></rect>')


def draw_axis(window, x_of, bottom):
    """The roundest ticks of which there are at most twelve."""
    power = 10 ** math.floor(math.log10((window[1] - window[0]) / 12))
    step = next(n * power for n in (1, 2, 5, 10) if n * power * 12 >= window[1] - window[0])
    for i in range(math.ceil(window[0] / step), math.floor(window[1] / step) + 1):
        x, time_ns = x_of(i * step), i * step
        label = f"{time_ns * 1e-9:.10g} s" if step >= 1e9 else f"{time_ns * 1e-6:.10g} ms"
        yield f'<path d="M{x:.1f} 62V{bottom}" stroke="#d8dee4" stroke-width="0.8"/>'
        yield text(x, bottom + 16, label, more=MIDDLE)


def draw_row(queue, window, x_of, y, height, colours):
    """Every slice a box. Those of one unit, side by side, share a label where it has room."""
    shown = [piece for piece in queue.slices
             if piece.end_ns > window[0] and piece.begin_ns < window[1]]
    for (name, step), unit in itertools.groupby(
            shown, lambda piece: (piece.name, piece.notes.get("step"))):
        job, kind, shard = name.rsplit(" ", 2)
        unit, label = list(unit), LETTERS[kind] + shard
        places = [(x_of(begin), x_of(end)) for begin, end in clipped(unit, window)]
        for piece, (left, right) in zip(unit, places):
            tip = f"{name}, step {step}: {(piece.end_ns - piece.begin_ns) * 1e-6:.3f} ms"
            yield box(left, y, right - left - 0.6, height, colours[job][kind != "forward"], tip)
        left, right = places[0][0], places[-1][1]
        if height > 18 and right - left > 8 * len(label):
            ink = "#1f2328" if kind == "forward" else "#ffffff"
            yield text((left + right) / 2, y + height / 2 + 4, label, 11, ink, MIDDLE + BOLD)


def draw(tracks, window, title, made):
    """The lines of the picture."""
    def x_of(time_ns):
        return LEFT + (time_ns - window[0]) / (window[1] - window[0]) * (RIGHT - LEFT)
    every = (queue.slices for _, queues in devices_of(tracks) for queue in queues)
    every = sorted(itertools.chain(*every), key=lambda piece: piece.begin_ns)
    jobs = dict.fromkeys(piece.name.rsplit(" ", 2)[0] for piece in every)
    colours = dict(zip(jobs, (pair.split() for pair in itertools.cycle(COLOURS))))
    x, y, rows = LEFT, 70, []
    for device, queues in devices_of(tracks):
        rows.append(text(14, y + (17 if len(queues) > 1 else 11), device, 13, "#1f2328", BOLD))
        for queue in queues:
            height = 26 if queue is queues[0] and len(queues) > 1 else 13
            busy = 100 * length(clipped(queue.slices, window)) / (window[1] - window[0])
            rows += [text(LEFT - 8, y + height / 2 + 4, queue.name[len(device) + 1:], more=END),
                     text(RIGHT + 6, y + height / 2 + 4, f"{busy:.0f} %"),
                     *draw_row(queue, window, x_of, y, height, colours)]
            y += height + 4
        y += 12
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 46}" '
           'font-family="-apple-system, Segoe UI, Helvetica, Arial, sans-serif">')
    yield (f"<title>{escape(title)}. {escape(made)}</title>"
           f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{y + 45}" rx="8" fill="#ffffff" '
           'stroke="#d0d7de"/>')
    yield text(14, 25, title, 15, "#1f2328", BOLD)
    yield text(LEFT, y + 32, HELP) + text(RIGHT + 6, 60, "busy")
    for job, (light, strong) in colours.items():
        yield box(x, 37, 11, 11, light, "forward") + box(x + 11, 37, 11, 11, strong, "all else")
        yield text(x + 28, 47, job, 12, "#1f2328")
        x += 48 + 7 * len(job)
    yield from itertools.chain(draw_axis(window, x_of, y - 8), rows)
    yield "</svg>"


def window_of(tracks, begin_s, end_s):
    every = [piece for track in tracks.values() for piece in track.slices]
    begin = max(begin_s * 1e9, min((piece.begin_ns for piece in every), default=0))
    end = min(end_s * 1e9, max((piece.end_ns for piece in every), default=0))
    if not end > begin:
        raise ValueError("nothing happened in this window")
    return begin, end


def main():
    parser = argparse.ArgumentParser(description="Draws a trace.pftrace as SVG, or sums it up.")
    parser.add_argument("trace", help="trace.pftrace in a run's folder")
    parser.add_argument("--from", dest="begin", type=float, default=-math.inf, metavar="SECONDS")
    parser.add_argument("--to", dest="end", type=float, default=math.inf, metavar="SECONDS")
    parser.add_argument("--title", default="Timeline of a run")
    parser.add_argument("--summary", action="store_true", help="print a table, draw nothing")
    arguments = parser.parse_args()
    try:
        tracks = read(arguments.trace)
        window = window_of(tracks, arguments.begin, arguments.end)
    except (OSError, ValueError) as error:
        what = getattr(error, "strerror", None) or error
        sys.exit(f"trace_svg.py: {arguments.trace}: {what}")
    if arguments.summary:
        print_summary(tracks, window)
    else:
        made = "Made with: " + shlex.join(["scripts/trace_svg.py"] + sys.argv[1:])
        print("\n".join(draw(tracks, window, arguments.title, made)))


if __name__ == "__main__":
    main()
