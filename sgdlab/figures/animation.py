"""A GIF in which a figure's lines grow step by step.

The background is drawn once; each frame draws the visible parts of the lines over it. All frames share the
last one's palette, which keeps the file small and the colours constant.
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

from sgdlab.figures.layout import AnimatedArtist, Drawing
from sgdlab.figures.output import write_file
from sgdlab.figures.series import Values
from sgdlab.figures.spec import SPEED
from sgdlab.figures.style import RC

LAST = 2000  # milliseconds of the last frame
DPI = 100
COLORS = 256  # of the palette, the most that a GIF has


def save_animation(drawing: Drawing, path: Path, *, fps: float, frames: int) -> None:
    """Write an animation of a drawing; the same drawing gives the same bytes, and is unchanged afterwards.

    Args:
        drawing: the drawing.
        path: the GIF file, which appears complete or not at all.
        fps: frames per second, in [1, 50].
        frames: the most frames, in [2, 200]; fewer where the runs have fewer steps.

    Raises:
        ValueError: fps or frames are out of range.
        UserError: the file cannot be written.
    """
    fps, frames = SPEED["fps"](fps), SPEED["frames"](frames)
    with matplotlib.style.context(["default", RC]):
        images = _images(drawing, _moments(drawing.animated, frames))
    palette = _palette(images[-1], drawing.animated)
    flat = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    duration = max(20, round(100 / fps) * 10)  # a GIF counts in hundredths of a second
    file = BytesIO()
    flat[0].save(
        file,
        format="GIF",
        save_all=True,
        append_images=flat[1:],
        duration=[duration] * (len(flat) - 1) + [LAST],
        loop=0,
        disposal=1,
    )
    write_file(path, file.getvalue())


def _palette(image: Image.Image, animated: Sequence[AnimatedArtist]) -> Image.Image:
    """Return an image with the palette of all frames: white and the lines' exact colours, then its own."""
    lines = [each.artist.get_color() for each in animated if isinstance(each.artist, Line2D)]
    own = dict.fromkeys(tuple(round(255 * part) for part in to_rgb(color)) for color in ["white", *lines])
    rest = image.quantize(COLORS - len(own), method=Image.Quantize.MEDIANCUT).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for color in own for part in color] + rest)
    return palette


def _moments(animated: Sequence[AnimatedArtist], frames: int) -> Values:
    """Return the moment of each frame, evenly spaced; whole numbers where all moments are."""
    moments = np.concatenate([each.moments for each in animated])
    first, last = moments.min(), moments.max()
    if not (moments == np.round(moments)).all():
        return np.linspace(first, last, frames)
    return np.unique(np.round(np.linspace(first, last, min(frames, int(last - first) + 1))))


def _images(drawing: Drawing, moments: Values) -> list[Image.Image]:
    figure, animated = drawing.figure, drawing.animated
    dpi, canvas = figure.dpi, FigureCanvasAgg(figure)
    figure.set_dpi(DPI)
    points_of = [(each, _points(each.artist)) for each in animated]
    counter = figure.text(0.995, 0.008, "", ha="right", va="bottom", fontsize=9, color="#555555")
    legends: list[Artist] = [legend for ax in figure.axes if (legend := ax.get_legend()) is not None]
    try:
        for each, _ in points_of:
            each.artist.set_visible(False)
        canvas.draw()  # type: ignore[no-untyped-call]
        background = canvas.copy_from_bbox(figure.bbox)  # type: ignore[no-untyped-call]
        images = []
        for moment in moments:
            canvas.restore_region(background)  # type: ignore[no-untyped-call]
            counter.set_text(drawing.clock.format(moment))
            shown = [each.artist for each, points in points_of if _grow(each, points, moment)]
            for artist in [*sorted(shown, key=lambda artist: artist.get_zorder()), *legends, counter]:
                artist.draw(canvas.get_renderer())  # type: ignore[no-untyped-call]
            pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
            images.append(Image.fromarray(pixels[..., :3].copy()))
        return images
    finally:
        for each, points in points_of:
            _grow(each, points, np.inf)
        counter.remove()
        figure.set_dpi(dpi)


def _points(artist: Artist) -> Values:
    """Return a line's points, (n, 2); none for another artist."""
    return np.array(artist.get_xydata(), dtype=np.float64) if isinstance(artist, Line2D) else np.empty((0, 2))


def _grow(each: AnimatedArtist, points: Values, moment: float) -> bool:
    """Show the part of an artist that is visible at this moment; return whether there is any."""
    if len(points) > 1 and isinstance(each.artist, Line2D):
        count = int(np.count_nonzero(each.moments <= moment))
        each.artist.set_data(*points[:count].T)
        visible = count > 0
    else:
        visible = not len(each.moments) or bool(each.moments[-1] <= moment)
    each.artist.set_visible(visible)
    return visible
