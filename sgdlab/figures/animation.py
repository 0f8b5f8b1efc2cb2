"""A figure that grows step by step, as a GIF.

What does not move is drawn once; each frame lays the lines as far as they have come over it. All frames share
the last one's palette, which keeps the file small and the colours still.
"""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from PIL import Image

from sgdlab.figures.layout import Drawing, Growing
from sgdlab.figures.output import write_file
from sgdlab.figures.series import Values
from sgdlab.figures.spec import SPEED
from sgdlab.figures.style import RC

FPS, FRAMES = 15.0, 80  # unless others are asked for: about 5 seconds
LAST = 2000  # milliseconds for which the last frame stands
DPI = 100
COLORS = 256  # of the palette, the most that a GIF has


def save_animation(drawing: Drawing, path: Path, *, fps: float = FPS, frames: int = FRAMES) -> None:
    """Write a GIF of the drawing's growth, whole or not at all; the same drawing gives the same bytes.

    fps: frames a second, in [1, 50]. frames: at most so many, in [2, 200]; fewer where there are fewer steps.
    Raises ValueError for others, UserError when the file cannot be written. The drawing ends as it began.
    """
    fps, frames = SPEED["fps"](fps), SPEED["frames"](frames)
    with matplotlib.style.context(["default", RC]):
        images = _images(drawing, _moments(drawing.growing, frames))
    palette = _palette(images[-1], drawing.growing)
    flat = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    each = max(20, round(100 / fps) * 10)  # a GIF counts in hundredths of a second
    file = BytesIO()
    flat[0].save(
        file,
        format="GIF",
        save_all=True,
        append_images=flat[1:],
        duration=[each] * (len(flat) - 1) + [LAST],
        loop=0,
        disposal=1,
    )
    write_file(path, file.getvalue())


def _palette(image: Image.Image, growing: Sequence[Growing]) -> Image.Image:
    """An image with the palette of all frames: white and the lines' colours as they are, then the image's."""
    lines = [each.artist.get_color() for each in growing if isinstance(each.artist, Line2D)]
    own = dict.fromkeys(tuple(round(255 * part) for part in to_rgb(color)) for color in ["white", *lines])
    rest = image.quantize(COLORS - len(own), method=Image.Quantize.MEDIANCUT).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for color in own for part in color] + rest)
    return palette


def _moments(growing: Sequence[Growing], frames: int) -> Values:
    """When each frame is, evenly from the first moment to the last; whole where all are whole."""
    known = np.concatenate([each.at for each in growing])
    first, last = known.min(), known.max()
    if not (known == np.round(known)).all():
        return np.linspace(first, last, frames)
    return np.unique(np.round(np.linspace(first, last, min(frames, int(last - first) + 1))))


def _images(drawing: Drawing, moments: Values) -> list[Image.Image]:
    figure, growing = drawing.figure, drawing.growing
    dpi, canvas = figure.dpi, FigureCanvasAgg(figure)
    figure.set_dpi(DPI)
    whole = [(each, _points(each.artist)) for each in growing]
    counter = figure.text(0.995, 0.008, "", ha="right", va="bottom", fontsize=9, color="#555555")
    legends: list[Artist] = [legend for ax in figure.axes if (legend := ax.get_legend()) is not None]
    try:
        for each, _ in whole:
            each.artist.set_visible(False)
        canvas.draw()  # type: ignore[no-untyped-call]
        background = canvas.copy_from_bbox(figure.bbox)  # type: ignore[no-untyped-call]
        images = []
        for moment in moments:
            canvas.restore_region(background)  # type: ignore[no-untyped-call]
            counter.set_text(drawing.clock.format(moment))
            shown = [each.artist for each, points in whole if _grow(each, points, moment)]
            for artist in [*sorted(shown, key=lambda artist: artist.get_zorder()), *legends, counter]:
                artist.draw(canvas.get_renderer())  # type: ignore[no-untyped-call]
            pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
            images.append(Image.fromarray(pixels[..., :3].copy()))
        return images
    finally:
        for each, points in whole:
            _grow(each, points, np.inf)
        counter.remove()
        figure.set_dpi(dpi)


def _points(artist: Artist) -> Values:
    """A line's points (n, 2); none for anything else."""
    return np.array(artist.get_xydata(), dtype=np.float64) if isinstance(artist, Line2D) else np.empty((0, 2))


def _grow(each: Growing, points: Values, moment: float) -> bool:
    """Set an artist to what it shows at this moment; whether that is anything."""
    if len(points) > 1 and isinstance(each.artist, Line2D):
        count = int(np.count_nonzero(each.at <= moment))
        each.artist.set_data(*points[:count].T)
        visible = count > 0
    else:
        visible = not len(each.at) or bool(each.at[-1] <= moment)
    each.artist.set_visible(visible)
    return visible
