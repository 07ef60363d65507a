"""Thumbnails of a folder of images: `python thumbnails.py PHOTOS THUMBNAILS`.

Each child of the array takes eight images; what comes back is files, by way of S3.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image

import tidemill as tm

SIZE = (160, 160)
KINDS = {".jpg", ".jpeg", ".png", ".webp"}


@tm.job(memory="512MiB", attempts=2)
def thumbnail(source: Path) -> Path:
    """A small copy of one image, as JPEG."""
    small = Path(tempfile.mkdtemp()) / f"{source.stem}.jpg"
    with Image.open(source) as image:
        image.thumbnail(SIZE)
        image.convert("RGB").save(small, quality=85)
    return small


@tm.job(memory="512MiB")
def contact_sheet(thumbnails: list[Path]) -> Path:
    """All thumbnails on one page."""
    columns = 6
    rows = -(-len(thumbnails) // columns)
    sheet = Image.new("RGB", (columns * SIZE[0], rows * SIZE[1]), "white")
    for number, path in enumerate(thumbnails):
        with Image.open(path) as image:
            sheet.paste(image, (number % columns * SIZE[0], number // columns * SIZE[1]))
    path = Path(tempfile.mkdtemp()) / "contact-sheet.jpg"
    sheet.save(path)
    return path


def main(photos: Path, out: Path) -> int:
    """Make them, and the sheet that waits for all of them."""
    images = sorted(path.resolve() for path in photos.iterdir() if path.suffix.lower() in KINDS)
    if not images:
        print(f"There are no images in {photos}; give a folder with .jpg, .png or .webp files.")
        return 2
    thumbnails = thumbnail.map(images, chunk=8)
    sheet = contact_sheet.submit(thumbnails)
    out.mkdir(parents=True, exist_ok=True)
    for small in thumbnails.result(progress=True):
        shutil.copy(small, out / small.name)
    shutil.copy(sheet.result(progress=True), out / "contact-sheet.jpg")
    print(f"{len(images)} thumbnails and contact-sheet.jpg are in {out}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python thumbnails.py PHOTOS THUMBNAILS")
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
