"""Turn the browser tests' pictures of the labs into those that the README shows, in 128 colours.

Run the browser tests first, look at `screenshots/`, and then this: `.venv/bin/python tools/keep_lab_pictures.py`.
"""

import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parent.parent


def main() -> int:
    for taken in sorted((ROOT / "screenshots").glob("*_lab.png")):
        with Image.open(taken) as picture:
            reduced = picture.convert("RGB").quantize(128, dither=Image.Dither.NONE)
        kept = ROOT / "notebooks" / "images" / f"lab_{taken.name[:2]}.png"
        reduced.save(kept, optimize=True)
        print(f"{kept.name}: {reduced.width} x {reduced.height} pixels, {kept.stat().st_size // 1024} KiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
