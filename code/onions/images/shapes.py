"""The outlines of the stand-in's ten classes, as polygons with random proportions.

x runs right and y runs down, from -1 to 1. Colour 0 is the body, 1 and 2 its parts, 3 its details.
"""

import math
import random
from collections.abc import Callable

Point = tuple[float, float]
Part = tuple[int, list[Point]]  # the number of a colour, and a polygon


def _ellipse(x: float, y: float, rx: float, ry: float, turn: float = 0.0) -> list[Point]:
    cos, sin = math.cos(turn), math.sin(turn)
    circle = [(rx * math.cos(a), ry * math.sin(a)) for a in (math.tau * i / 18 for i in range(18))]
    return [(x + cos * u - sin * v, y + sin * u + cos * v) for u, v in circle]


def _box(left: float, top: float, right: float, bottom: float) -> list[Point]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _stroke(start: Point, end: Point, width: float) -> list[Point]:
    dx, dy = end[0] - start[0], end[1] - start[1]
    scale = width / 2 / math.hypot(dx, dy)
    u, v = -dy * scale, dx * scale
    return [
        (start[0] + u, start[1] + v),
        (end[0] + u, end[1] + v),
        (end[0] - u, end[1] - v),
        (start[0] - u, start[1] - v),
    ]


def _airplane(rng: random.Random) -> list[Part]:
    """From above: a long body, swept wings, a small tail plane."""
    sweep, span, chord = rng.uniform(0.1, 0.5), rng.uniform(0.75, 1.0), rng.uniform(0.25, 0.4)
    wings = [
        (0.25, 0.0), (0.25 - sweep, -span), (0.05 - sweep, -span), (0.2 - chord, 0.0),
        (0.05 - sweep, span), (0.25 - sweep, span),
    ]  # fmt: skip
    tail = [(-0.65, 0.0), (-0.85, -0.38), (-1.0, -0.38), (-0.9, 0.0), (-1.0, 0.38), (-0.85, 0.38)]
    body = _ellipse(0, 0, 1.0, rng.uniform(0.13, 0.19))
    return [(1, wings), (1, tail), (0, body), (3, _ellipse(0.75, 0, 0.1, 0.07))]


def _wheels(rng: random.Random, places: list[float], y: float) -> list[Part]:
    radius = rng.uniform(0.17, 0.25)
    tyres: list[Part] = [(2, _ellipse(x, y, radius, radius)) for x in places]
    return tyres + [(3, _ellipse(x, y, radius / 2, radius / 2)) for x in places]


def _automobile(rng: random.Random) -> list[Part]:
    """A low body, a cabin in its middle, two wheels."""
    roof, front, back = rng.uniform(-0.6, -0.42), rng.uniform(0.2, 0.4), rng.uniform(-0.6, -0.35)
    body = [
        (-1, -0.02), (-0.9, -0.1), (0.8, -0.1), (1, 0.05), (1, 0.38), (-1, 0.38),
    ]  # fmt: skip
    cabin = [(back - 0.2, -0.08), (back, roof), (front, roof), (front + 0.3, -0.08)]
    window = [(back, -0.12), (back + 0.08, roof + 0.1), (front - 0.05, roof + 0.1),
              (front + 0.12, -0.12)]  # fmt: skip
    return [(0, body), (0, cabin), (1, window), *_wheels(rng, [-0.58, 0.58], 0.4)]


def _truck(rng: random.Random) -> list[Part]:
    """A tall box, a cab in front, three wheels."""
    top, split = rng.uniform(-0.85, -0.6), rng.uniform(0.3, 0.5)
    load = _box(-1, top, split - 0.04, 0.35)
    cab = [
        (split + 0.02, rng.uniform(-0.45, -0.25)), (0.8, -0.35), (1, 0.0), (1, 0.38),
        (split + 0.02, 0.38),
    ]  # fmt: skip
    window = [(split + 0.12, -0.25), (0.75, -0.25), (0.88, 0.0), (split + 0.12, 0.0)]
    return [(0, load), (1, cab), (3, window), *_wheels(rng, [-0.7, -0.25, 0.65], 0.42)]


def _ship(rng: random.Random) -> list[Part]:
    """A hull, cabins on it, a funnel and a mast."""
    deck, left = rng.uniform(0.0, 0.15), rng.uniform(-0.6, -0.3)
    hull = [(-1, deck), (1.05, deck - 0.08), (0.75, 0.6), (-0.8, 0.6)]
    cabin = _box(left, deck - 0.35, left + rng.uniform(0.6, 0.9), deck)
    place = left + rng.uniform(0.15, 0.4)
    funnel = _box(place, deck - 0.75, place + 0.2, deck - 0.33)
    mast = _stroke((0.6, deck), (0.6, deck - rng.uniform(0.6, 0.95)), 0.07)
    stripe = [(-0.93, 0.3), (0.9, 0.25), (0.85, 0.36), (-0.9, 0.4)]
    return [(2, mast), (1, cabin), (2, funnel), (0, hull), (3, stripe)]


def _bird(rng: random.Random) -> list[Part]:
    """A round body, a small head with a beak, a wing, a tail, two thin legs."""
    lift = rng.uniform(-0.75, 0.25)
    legs: list[Part] = [
        (3, _stroke((x, 0.3), (x + rng.uniform(-0.1, 0.15), 0.85), 0.07)) for x in (-0.1, 0.12)
    ]
    tail = [(-0.5, -0.05), (-1.05, rng.uniform(-0.3, 0.2)), (-0.98, 0.28), (-0.45, 0.25)]
    wing = [(0.2, -0.05), (-0.25, lift - 0.2), (-0.65, lift), (-0.3, 0.25)]
    beak = [(0.75, -0.5), (1.1, -0.4), (0.75, -0.32)]
    return [
        *legs, (0, tail), (0, _ellipse(0, 0.08, 0.58, 0.36, -0.25)),
        (0, _ellipse(0.55, -0.4, 0.27, 0.25)), (3, beak), (1, wing),
        (3, _ellipse(0.62, -0.46, 0.06, 0.06)),
    ]  # fmt: skip


def _face(rng: random.Random, width: float, height: float) -> list[Part]:
    gap, y = rng.uniform(0.24, 0.34), rng.uniform(-0.2, -0.05)
    eyes: list[Part] = [(3, _ellipse(side * gap, y, 0.11, 0.12)) for side in (-1, 1)]
    return [(0, _ellipse(0, 0.08, width, height)), *eyes]


def _cat(rng: random.Random) -> list[Part]:
    """A face from the front: upright pointed ears, a small nose, whiskers."""
    tip = rng.uniform(0.75, 1.0)
    ears: list[Part] = []
    for side in (-1, 1):
        ears += [
            (0, [(side * 0.1, -0.45), (side * 0.62, -tip), (side * 0.7, -0.05)]),
            (1, [(side * 0.28, -0.45), (side * 0.56, -tip + 0.15), (side * 0.6, -0.25)]),
        ]
    whiskers: list[Part] = [
        (3, _stroke((side * 0.2, 0.35), (side * 0.95, 0.35 + dy), 0.05))
        for side in (-1, 1)
        for dy in (-0.12, 0.12)
    ]
    nose: Part = (2, [(-0.11, 0.22), (0.11, 0.22), (0, 0.36)])
    return [*ears, *_face(rng, rng.uniform(0.66, 0.78), rng.uniform(0.58, 0.7)), *whiskers, nose]


def _dog(rng: random.Random) -> list[Part]:
    """A face from the front: hanging ears, a long muzzle with a large nose."""
    droop = rng.uniform(0.05, 0.3)
    ears: list[Part] = [
        (1, _ellipse(side * 0.68, droop - 0.1, 0.2, rng.uniform(0.42, 0.55), -side * 0.2))
        for side in (-1, 1)
    ]
    muzzle: Part = (2, _ellipse(0, 0.45, rng.uniform(0.28, 0.38), 0.34))
    nose: Part = (3, _ellipse(0, 0.3, 0.15, 0.1))
    return [*_face(rng, rng.uniform(0.55, 0.66), rng.uniform(0.68, 0.8)), *ears, muzzle, nose]


def _frog(rng: random.Random) -> list[Part]:
    """Squat, seen from the front: two eyes on top, folded legs at the sides, a wide mouth."""
    wide = rng.uniform(0.6, 0.75)
    parts: list[Part] = []
    for side in (-1, 1):
        parts += [
            (0, _ellipse(side * 0.75, 0.35, 0.28, 0.42, side * 0.5)),
            (2, _ellipse(side * 0.8, 0.75, 0.28, 0.1)),
            (0, _ellipse(side * 0.36, -0.48, 0.24, 0.24)),
        ]
    parts += [(0, _ellipse(0, 0.15, wide, 0.6)), (1, _ellipse(0, 0.42, wide * 0.65, 0.34))]
    parts += [(3, _ellipse(side * 0.36, -0.5, 0.11, 0.13)) for side in (-1, 1)]
    return [*parts, (3, _stroke((-0.45, -0.05), (0.45, -0.05), 0.06))]


def _legs(rng: random.Random, width: float) -> list[Part]:
    return [
        (0, _stroke((x, 0.2), (x + rng.uniform(-0.16, 0.16), 0.98), width))
        for x in (-0.62, -0.45, 0.22, 0.4)
    ]


def _deer(rng: random.Random) -> list[Part]:
    """From the side: thin legs, a slim neck, antlers, a short tail."""
    x, y = rng.uniform(0.7, 0.82), rng.uniform(-0.6, -0.48)
    antlers: list[Part] = []
    for lean in (-0.28, 0.1):
        top = (x + lean, y - rng.uniform(0.42, 0.5))
        middle = (x + lean / 2, y - 0.25)
        antlers += [
            (2, _stroke((x - 0.05, y), top, 0.07)),
            (2, _stroke(middle, (middle[0] - 0.22, middle[1] - 0.18), 0.06)),
            (2, _stroke(middle, (middle[0] + 0.2, middle[1] - 0.16), 0.06)),
        ]
    return [
        *_legs(rng, 0.11), *antlers, (0, _ellipse(-0.1, 0.1, 0.65, 0.27)),
        (0, _stroke((0.4, 0.05), (x - 0.05, y + 0.05), 0.22)),
        (0, _ellipse(x + 0.1, y + 0.06, 0.24, 0.13, 0.3)),
        (1, _ellipse(-0.74, 0.0, 0.1, 0.13)), (3, _ellipse(x + 0.08, y, 0.05, 0.05)),
    ]  # fmt: skip


def _horse(rng: random.Random) -> list[Part]:
    """From the side: strong legs, a thick neck with a mane, a long tail."""
    x, y = rng.uniform(0.68, 0.82), rng.uniform(-0.65, -0.5)
    tail = [(-0.68, -0.08), (-0.95, 0.05), (-0.98, rng.uniform(0.5, 0.75)), (-0.78, 0.5)]
    mane = [(0.2, -0.15), (x - 0.3, y - 0.18), (x + 0.02, y - 0.2), (0.5, 0.0)]
    return [
        *_legs(rng, 0.16), (1, tail), (0, _ellipse(-0.1, 0.08, 0.68, 0.33)), (1, mane),
        (0, _stroke((0.42, 0.0), (x - 0.05, y), 0.34)),
        (0, _ellipse(x + 0.12, y + 0.1, 0.34, 0.15, 0.65)),
        (0, [(x - 0.1, y - 0.05), (x - 0.06, y - 0.3), (x + 0.06, y - 0.05)]),
        (3, _ellipse(x + 0.06, y + 0.02, 0.05, 0.05)),
    ]  # fmt: skip


SHAPES: dict[str, Callable[[random.Random], list[Part]]] = {
    "airplane": _airplane,
    "automobile": _automobile,
    "bird": _bird,
    "cat": _cat,
    "deer": _deer,
    "dog": _dog,
    "frog": _frog,
    "horse": _horse,
    "ship": _ship,
    "truck": _truck,
}
