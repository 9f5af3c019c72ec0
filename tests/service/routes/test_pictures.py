"""Every kind of file is answered about as the plain one, by every model."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageCms, ImageDraw

from looksee.core import errors
from looksee.models.registry import REGISTRY
from tests.core.images.kinds import TURNED_BY, exif, file, png_with, wide_gamut, xmp
from tests.support import pictures
from tests.support.serving import Service
from tools.fuzz.bombs import bombs
from tools.fuzz.damage import damaged

SIZE = (320, 240)
CAPTION = "a red triangle, a yellow circle and a green square"


def drawn(ground: tuple[int, int, int, int]) -> Image.Image:
    picture = Image.new("RGBA", SIZE, ground)
    pen = ImageDraw.Draw(picture)
    pen.polygon(((25, 150), (95, 150), (60, 80)), fill=(220, 40, 40, 255))
    pen.ellipse((125, 30, 195, 100), fill=(235, 205, 40, 255))
    pen.rectangle((225, 130, 295, 200), fill=(40, 170, 60, 255))
    return picture


SOLID, CUT_OUT = drawn((255, 255, 255, 255)).convert("RGB"), drawn((0, 0, 0, 0))
PLAIN = file(SOLID)


def wide() -> bytes:
    profile = ImageCms.ImageCmsProfile(io.BytesIO(wide_gamut()))
    picture = ImageCms.profileToProfile(SOLID, ImageCms.createProfile("sRGB"), profile, outputMode="RGB")
    assert picture is not None
    return file(picture, "JPEG", icc_profile=wide_gamut())


def lying(kind: str, **options: Any) -> bytes:
    """Stored on its side."""
    return file(SOLID.transpose(TURNED_BY[6]), kind, **options)


def late() -> bytes:
    """As ImageMagick writes a photograph: which way up it is stands behind the pixels."""
    return png_with(lying("PNG"), b"eXIf", exif(6).removeprefix(b"Exif\0\0"), late=True)


ON_ITS_SIDE = {
    "late.png": late(),
    "exif.webp": lying("WEBP", exif=exif(6)),
    "xmp.jpg": lying("JPEG", xmp=xmp(6)),
    "tag.tif": lying("TIFF", tiffinfo={0x0112: 6}),
    "exif.avif": lying("AVIF", exif=exif(6)),
}
FILES = {
    "plain.png": PLAIN,
    **{f"solid.{kind.lower()}": file(SOLID, kind) for kind in ("JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")},
    **{f"cut-out.{kind.lower()}": file(CUT_OUT, kind) for kind in ("PNG", "WEBP", "GIF", "TIFF", "AVIF", "HEIF")},
    "palette.png": file(CUT_OUT.quantize(16)),
    "colour.png": file(CUT_OUT.convert("RGB"), transparency=(0, 0, 0)),
    "wide.jpg": wide(),
    "cmyk.jpg": file(SOLID.convert("CMYK"), "JPEG"),
    "pages.tif": file(SOLID, "TIFF", save_all=True, append_images=[Image.new("RGB", SIZE)]),
    "moving.gif": file(SOLID, "GIF", save_all=True, append_images=[Image.new("RGB", SIZE)]),
    "without-end.jpg": file(SOLID, "JPEG")[:-2],
    **ON_ITS_SIDE,
}


@pytest.fixture(scope="module")
def service(everything: Service) -> Service:
    return everything


@pytest.mark.parametrize("model", REGISTRY)
def test_every_kind_of_file_has_the_same_caption(service: Service, model: str) -> None:
    files = [("images", one) for one in FILES.items()]
    answer = service.client.post("/api/caption-images", params={"model": model}, files=files)
    results = answer.json()["results"]
    captions = {result["filename"]: result.get("caption", result.get("error")) for result in results}
    assert captions == dict.fromkeys(FILES, CAPTION)


@pytest.mark.parametrize("name", ON_ITS_SIDE)
def test_pixels_are_those_of_the_upright_picture(service: Service, name: str) -> None:
    def found(data: bytes) -> Any:
        return service.client.post(
            "/upload/detect?format=pixel", files={"file": ("a", data)}, data={"object": "shape"}
        ).json()

    upright, answer = found(PLAIN), found(ON_ITS_SIDE[name])
    assert answer["image"] == upright["image"] == {"width": 320, "height": 240}
    assert len(answer["detections"]) == 3
    for one, other in zip(answer["detections"], upright["detections"], strict=True):
        assert max(abs(one[key] - other[key]) for key in ("x_min", "y_min", "x_max", "y_max")) < 8


def test_a_picture_with_boxes_is_drawn_on_white(service: Service) -> None:
    answer = service.client.post(
        "/upload/detect?annotate=true", files={"file": ("a.png", file(CUT_OUT))}, data={"object": "circle"}
    )
    assert Image.open(io.BytesIO(answer.content)).getpixel((2, 2)) == (255, 255, 255)


def test_sixteen_bits_through_picture(service: Service) -> None:
    from looksee import picture

    grey = Image.new("L", (240, 240), 255)
    ImageDraw.Draw(grey).ellipse((80, 80, 160, 160), fill=25)
    values = np.asarray(grey).astype(np.uint16) * 257
    wide_values = Image.fromarray(values.astype(np.int32))
    big = Image.frombytes("I;16B", grey.size, values.astype(">u2").tobytes())
    floats = Image.fromarray((values / 65535).astype(np.float32))
    alpha = Image.merge("LA", (Image.new("L", grey.size, 0), ImageChops.invert(grey)))
    for source in (Image.fromarray(values), wide_values, big, floats, alpha):
        said = service.client.post("/caption", json={"image": picture(source)}).json()
        assert said["caption"] == "a black circle", source.mode


def test_base64_as_the_web_writes_it(service: Service) -> None:
    data = PLAIN + bytes(-(len(PLAIN) + 2) % 3)  # bytes behind a picture are harmless; now it needs padding
    text = base64.b64encode(data).decode()
    assert text.endswith("=")
    for form in (text.rstrip("="), base64.urlsafe_b64encode(data).decode(), f" data:;base64,{text}\n"):
        answer = service.client.post("/caption", json={"image": form})
        assert answer.json()["caption"] == CAPTION, form[:30]


@pytest.mark.parametrize(
    ("data", "told"),
    [(b"%PDF-1.7", "pages"), (b"<svg xmlns='a'/>", "PNG"), (b"\0\0\0\x20ftypisom" + bytes(24), "frames")],
)
def test_what_is_no_picture_is_named_with_what_to_do(service: Service, data: bytes, told: str) -> None:
    answer = service.client.post("/upload/caption", files={"file": ("a.png", data)})
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_image_type")
    assert told in answer.json()["detail"]


def test_damaged_pictures_are_told_apart_and_leave_the_service_as_it_was(service: Service) -> None:
    """Some of those that `make fuzz` puts through the decoding, in forms with a sound one among them."""
    sound, caption = pictures.scene("among-damaged")
    files = [one.data for one in damaged(155)] + [data for data in bombs().values() if len(data) < 2**20]
    before = [process.pid for name in ("Looksee", "Blip") for process in service.processes(name)]
    for first in range(0, len(files), 31):
        sent = [*files[first : first + 31], sound]
        parts = [("images", (f"{number}", data)) for number, data in enumerate(sent)]
        answer = service.client.post("/api/caption-images?model=blip", files=parts)
        assert answer.status_code == 200
        *others, last = answer.json()["results"]
        assert last["caption"] == caption
        for result in others:
            assert "caption" in result or errors.BY_CODE[result["error"]["code"]].status in (400, 413, 415, 422), result
    assert [process.pid for name in ("Looksee", "Blip") for process in service.processes(name)] == before
    log = service.log.read_text(errors="replace")
    assert "Traceback" not in log
    assert "tiff" not in log.lower()
