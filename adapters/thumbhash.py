"""ThumbHash: a picture in some 25 bytes, for what is shown before it has loaded.

After Evan Wallace's description (github.com/evanw/thumbhash, public domain), one direction only.
Runs in the decode child.
"""

import base64
import math
from collections.abc import Sequence

SIDE = 32
"""Longest side of what is looked at: of a cosine of period 1/7 more pixels tell nothing."""


def thumbhash(width: int, height: int, rgba: bytes) -> str:
    """The hash, base64, of a picture of at most SIDE by SIDE pixels of four bytes each."""
    pixels = width * height
    average_r = average_g = average_b = average_a = 0.0
    for at in range(0, 4 * pixels, 4):
        alpha = rgba[at + 3] / 255
        average_r += alpha * rgba[at] / 255
        average_g += alpha * rgba[at + 1] / 255
        average_b += alpha * rgba[at + 2] / 255
        average_a += alpha
    if average_a:
        average_r /= average_a
        average_g /= average_a
        average_b /= average_a
    has_alpha = average_a < pixels
    l_limit = 5 if has_alpha else 7
    longest = max(width, height)
    l_x = max(1, round(l_limit * width / longest))
    l_y = max(1, round(l_limit * height / longest))
    luminance, yellow_blue, red_green, opacity = [], [], [], []
    for at in range(0, 4 * pixels, 4):
        alpha = rgba[at + 3] / 255
        red = average_r * (1 - alpha) + alpha * rgba[at] / 255
        green = average_g * (1 - alpha) + alpha * rgba[at + 1] / 255
        blue = average_b * (1 - alpha) + alpha * rgba[at + 2] / 255
        luminance.append((red + green + blue) / 3)
        yellow_blue.append((red + green) / 2 - blue)
        red_green.append(red - green)
        opacity.append(alpha)
    l_dc, l_ac, l_scale = _channel(luminance, width, height, max(3, l_x), max(3, l_y))
    p_dc, p_ac, p_scale = _channel(yellow_blue, width, height, 3, 3)
    q_dc, q_ac, q_scale = _channel(red_green, width, height, 3, 3)
    landscape = width > height
    head = (
        round(63 * l_dc) | round(31.5 + 31.5 * p_dc) << 6 | round(31.5 + 31.5 * q_dc) << 12
        | round(31 * l_scale) << 18 | has_alpha << 23
    )  # fmt: skip
    tail = (
        (l_y if landscape else l_x) | round(63 * p_scale) << 3 | round(63 * q_scale) << 9
        | landscape << 15
    )  # fmt: skip
    body = bytearray(head.to_bytes(3, "little") + tail.to_bytes(2, "little"))
    channels = [l_ac, p_ac, q_ac]
    if has_alpha:
        a_dc, a_ac, a_scale = _channel(opacity, width, height, 5, 5)
        body.append(round(15 * a_dc) | round(15 * a_scale) << 4)
        channels.append(a_ac)
    nibbles = [round(15 * value) for channel in channels for value in channel]
    for at in range(0, len(nibbles), 2):
        body.append(nibbles[at] | (nibbles[at + 1] << 4 if at + 1 < len(nibbles) else 0))
    return base64.b64encode(bytes(body)).decode()


def _channel(
    values: Sequence[float], width: int, height: int, across: int, down: int
) -> tuple[float, list[float], float]:
    """Mean, and the triangle of cosine terms scaled to 0 to 1, with their scale."""
    x_waves = [
        [math.cos(math.pi / width * wave * (x + 0.5)) for x in range(width)]
        for wave in range(across)
    ]
    y_waves = [
        [math.cos(math.pi / height * wave * (y + 0.5)) for y in range(height)]
        for wave in range(down)
    ]
    rows = [values[y * width : (y + 1) * width] for y in range(height)]
    # Row by row first: a hundredth of the products that the double sum would take.
    by_x = [
        [sum(map(float.__mul__, row, wave)) for row in rows] for wave in x_waves
    ]  # fmt: skip
    mean, terms, scale = 0.0, [], 0.0
    for wave_y in range(down):
        wave_x = 0
        while wave_x * down < across * (down - wave_y):
            term = sum(map(float.__mul__, by_x[wave_x], y_waves[wave_y])) / (width * height)
            if wave_x or wave_y:
                terms.append(term)
                scale = max(scale, abs(term))
            else:
                mean = term
            wave_x += 1
    if scale:
        terms = [0.5 + 0.5 / scale * term for term in terms]
    return mean, terms, scale
