"""The name of a sweep, which is also its folder."""

import hashlib
import re
from collections.abc import Sequence

from sgdlab.config.run_hash import HASH_EXCLUDED


def sweep_id(experiment: str | None, tasks: Sequence[str]) -> str:
    """A sweep's name and folder: its experiment and what was changed, `lr=10,0.1,0.001`.

    Two sweeps of one command share a folder: the second finds the runs of the first.
    """
    keep = [task for task in tasks if not task.startswith("experiment=")]
    keep = sorted(task for task in keep if key(task) not in HASH_EXCLUDED)
    text = " ".join(keep)
    clean = re.sub(r"[^\w.,=+-]+", "-", text)[:60].strip("-")
    if clean != text.replace(" ", "-"):
        clean += "-" + hashlib.sha256(text.encode()).hexdigest()[:6]
    if experiment is None:
        return clean or "sweep"
    return f"{experiment}--{clean}" if clean else experiment


def key(word: str) -> str:
    """The setting that an override is of."""
    return word.lstrip("+~").partition("=")[0]
