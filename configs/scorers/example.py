#!/usr/bin/env python3
"""A scorer for Tandem that needs nothing but Python 3; docs/scorers.md explains the protocol.

Two measures of every clip, from 8-bit RGBA frames:
  colourfulness   of the picture (Hasler and Suesstrunk 2003), mean of the frames
  alpha_flicker   mean absolute change of alpha from frame to frame
Copy it and replace measure(). With numpy: frames = np.fromfile(path, "u1").reshape(T, H, W, 4).
"""
import json
import math
import sys

CARD = {
    "protocol": 1,
    "id": "example",
    "version": 1,  # raise it whenever a value changes: scores of other versions are kept apart
    "wants": ["rgba8"],
    "measures": [
        {"id": "colourfulness", "direction": "none", "range": [0, None], "plane": "rgb",
         "help": "Hasler and Suesstrunk's colourfulness of the picture on a scale of 0 to 255, mean of the frames"},
        {"id": "alpha_flicker", "direction": "down", "range": [0, 1], "plane": "alpha",
         "help": "mean absolute change of alpha from frame to frame"},
    ],
}


def colourfulness(frame):
    """Of one frame of RGBA bytes."""
    red, green, blue = frame[0::4], frame[1::4], frame[2::4]
    rg = [r - g for r, g in zip(red, green)]
    yb = [(r + g) / 2 - b for r, g, b in zip(red, green, blue)]
    n = len(rg)
    means = [sum(x) / n for x in (rg, yb)]
    variances = [sum((v - m) ** 2 for v in x) / n for x, m in zip((rg, yb), means)]
    return math.sqrt(sum(variances)) + 0.3 * math.hypot(*means)


def measure(request):
    """Yields (measure, value, reason): a number and None, or None and a reason code."""
    size = request["height"] * request["width"] * 4
    with open(request["rgba8"], "rb") as f:
        frames = [f.read(size) for _ in range(request["frames"])]
    yield "colourfulness", sum(map(colourfulness, frames)) / len(frames), None
    if not request["alpha"]:
        yield "alpha_flicker", None, "no_alpha"
    elif len(frames) < 2:
        yield "alpha_flicker", None, "too_few_frames"
    else:
        alphas = [frame[3::4] for frame in frames]
        change = sum(abs(a - b) for x, y in zip(alphas, alphas[1:]) for a, b in zip(x, y))
        yield "alpha_flicker", change / (255 * len(alphas[0]) * (len(alphas) - 1)), None


def answer(line):
    print(json.dumps(line), flush=True)


if sys.argv[1:] == ["--describe"]:
    answer(CARD)
else:
    for text in sys.stdin:
        request = json.loads(text)
        for name, value, reason in measure(request):
            answer({"id": request["id"], "metric": name, "value": value, "reason": reason})
        answer({"id": request["id"], "done": True})
