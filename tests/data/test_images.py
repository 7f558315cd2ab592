"""Any picture of a digit becomes one like MNIST's, in numbers; hostile files are refused."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from layerloop.data.idx import read_idx
from layerloop.data.images import prepare_image
from layerloop.data.pixels import read_image, resampling
from layerloop.data.shown import image_text, save_png
from layerloop.errors import (
    DataFormatError,
    DataNotFoundError,
    InputError,
    NonFiniteInputError,
    OutputError,
    SettingError,
    ShapeError,
    UnknownNameError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]


def seven(side: int = 280, *, thick: float = 0.07) -> Bytes:
    """A bright 7 on dark with soft edges, drawn by its distance to two lines, off the middle."""
    y, x = np.mgrid[0:side, 0:side] / side
    lines = [((0.2, 0.15), (0.2, 0.55)), ((0.2, 0.55), (0.8, 0.3))]
    near = np.full((side, side), np.inf)
    for (ay, ax), (by, bx) in lines:
        t = np.clip(((y - ay) * (by - ay) + (x - ax) * (bx - ax)) / ((by - ay) ** 2 + (bx - ax) ** 2), 0, 1)
        near = np.minimum(near, np.hypot(y - ay - t * (by - ay), x - ax - t * (bx - ax)))
    return np.rint(np.clip((thick / 2 - near) * side + 0.5, 0, 1) * 255).astype(np.uint8)


def error(got: Bytes, wanted: Bytes) -> float:
    return float(np.abs(got.astype(int) - wanted).mean())


def enlarged(x: Bytes, factor: float, how: Any = Image.Resampling.BICUBIC) -> Bytes:
    return np.asarray(Image.fromarray(x).resize([round(side * factor) for side in x.shape[::-1]], how))


def jpeg(x: Bytes, quality: int = 75) -> Bytes:
    file = io.BytesIO()
    Image.fromarray(x).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def noisy(x: Bytes, deviation: float) -> Bytes:
    noise = np.random.default_rng(0).normal(0, deviation, x.shape)
    return np.clip(x * 0.8 + 20 + noise, 0, 255).astype(np.uint8)


def lit_from_the_side(x: Bytes) -> Bytes:
    paper = (255 - x * 0.8) * np.linspace(0.6, 0.95, x.shape[1])
    return np.clip(paper + np.random.default_rng(1).normal(0, 4, x.shape), 0, 255).astype(np.uint8)


def dusty(x: Bytes) -> Bytes:
    return np.where(np.random.default_rng(2).random(x.shape) < 0.002, 255, x).astype(np.uint8)


def clear(x: Bytes, colour: tuple[int, int, int]) -> Bytes:
    """The stroke in one colour on a transparent ground."""
    return np.dstack([*(np.full_like(x, level) for level in colour), x])


MARGIN = ((70, 10), (3, 120))
CLEAN: dict[str, Callable[[Bytes], Any]] = {
    "itself": lambda x: x,
    "inverted": lambda x: 255 - x,
    "padded": lambda x: np.pad(x, MARGIN),
    "inverted and padded": lambda x: np.pad(255 - x, MARGIN, constant_values=255),
    "three times, blocky": lambda x: enlarged(x, 3, Image.Resampling.NEAREST),
    "float": lambda x: x / 255,
    "colour": lambda x: np.dstack([x, x, x]),
    "opaque alpha": lambda x: np.dstack([x, x, x, np.full_like(x, 255)]),
    "PIL image": Image.fromarray,
    "read-only and strided": lambda x: np.broadcast_to(x[..., None], (*x.shape, 2))[..., 1],
    "black ink on clear": lambda x: clear(x, (0, 0, 0)),
    "white ink on clear": lambda x: clear(x, (255, 255, 255)),
    "red ink on clear": lambda x: clear(x, (200, 0, 0)),
    "a channel axis": lambda x: x[..., None],
}
ROUGH: dict[str, tuple[Callable[[Bytes], Any], float]] = {
    # the bound: what the change itself costs, measured, and a third more
    "half": (lambda x: enlarged(x, 0.5), 3.5),
    "twice, smooth": (lambda x: enlarged(x, 2), 1.5),
    "JPEG": (jpeg, 1.5),
    "JPEG on light": (lambda x: jpeg(255 - x, 30), 2.5),
    "noise": (lambda x: noisy(x, 8), 3.5),
    "noise on light": (lambda x: 255 - noisy(x, 15), 5.0),
    "lit from the side": (lit_from_the_side, 4.0),
    "dust": (dusty, 1.5),
    "faint pencil": (lambda x: (200 - x * 0.15).astype(np.uint8), 3.0),
    "blue on yellow": (lambda x: np.dstack([255 - x, 250 - (x * 0.9).astype(np.uint8), 120 + x // 3]), 1.5),
}


@pytest.mark.parametrize("change", CLEAN.values(), ids=CLEAN)
def test_the_same_drawing_in_every_guise_is_the_same_picture(change: Callable[[Bytes], Any]) -> None:
    wanted, _ = prepare_image(seven())
    got, _ = prepare_image(change(seven()))
    assert error(got, wanted) < 0.2


@pytest.mark.parametrize(("change", "bound"), ROUGH.values(), ids=ROUGH)
def test_rough_guises_come_close(change: Callable[[Bytes], Any], bound: float) -> None:
    wanted, _ = prepare_image(seven())
    got, _ = prepare_image(change(seven()))
    assert error(got, wanted) < bound < error(np.zeros_like(wanted), wanted) / 3


def test_the_recipe_of_mnist_in_numbers() -> None:
    x, _ = prepare_image(seven())
    assert (x.shape, x.dtype, x.max()) == ((28, 28), np.uint8, 255)
    rows, columns = np.flatnonzero(x.max(axis=1) > 60), np.flatnonzero(x.max(axis=0) > 60)
    assert rows[-1] - rows[0] + 1 == 20
    assert columns[-1] - columns[0] + 1 < 20
    y_mass, x_mass = x.sum(axis=1, dtype=float), x.sum(axis=0, dtype=float)
    assert abs(y_mass @ np.arange(28) / y_mass.sum() - 14) <= 0.5
    assert abs(x_mass @ np.arange(28) / x_mass.sum() - 14) <= 0.5
    again, done = prepare_image(x)
    assert error(again, x) < 0.5
    assert done[-1] == "centred by mass in 28 x 28"


def test_what_was_done_is_said() -> None:
    paper = np.full((300, 400), 255, np.uint8)
    paper[60:260, 30:150] = 0
    assert prepare_image(paper)[1] == (
        "inverted: dark ink on a light ground",
        "cropped 300 x 400 to the ink, 200 x 120",
        "scaled 200 x 120 to 20 x 12",
        "centred by mass in 28 x 28",
    )
    done = prepare_image(clear(seven(), (9, 9, 9)))[1]
    assert done[0] == "took the opaque pixels as ink"
    done = prepare_image(np.dstack([(seven() * 0.4).astype(np.uint8) + 40, seven() // 3, seven() // 4]))[1]
    assert done[0] == "colours turned to grey"
    assert done[1].startswith("removed the ground's level")
    assert done[2].startswith("stretched the contrast from 3")


@pytest.mark.parametrize("alpha", [255, 254], ids=["opaque", "nearly opaque"])
def test_a_filled_card_on_a_clear_margin_is_read_by_its_colours(alpha: int) -> None:
    card = np.zeros((340, 340, 4), np.uint8)
    card[30:310, 30:310, :3] = (255 - seven())[..., None]
    card[30:310, 30:310, 3] = alpha
    got, done = prepare_image(card)
    assert done[0] == "laid the transparent picture on white"
    assert error(got, prepare_image(seven())[0]) < 0.5


def test_ink_can_be_stated() -> None:
    blot = np.zeros((60, 60), np.uint8)
    blot[3:57, 3:57] = 255
    blot[20:40, 28:32] = 0
    assert prepare_image(blot)[0].astype(bool).sum() > 300
    framed = np.full((60, 60), 128, np.uint8)
    framed[10:50, 10:14] = 255
    framed[10:20, 40:44] = 0
    light, dark = prepare_image(framed, ink="light")[0], prepare_image(framed, ink="dark")[0]
    assert np.count_nonzero(light.any(axis=0)) == 2
    assert np.count_nonzero(dark.any(axis=0)) == 8
    assert error(prepare_image(clear(seven(), (0, 0, 0)), ink="dark")[0], prepare_image(seven())[0]) < 0.2


def test_other_frames() -> None:
    x, _ = prepare_image(seven(), size=(8, 8), box=8)
    assert x.shape == (8, 8)
    assert x.max(axis=1).all()
    wide, _ = prepare_image(seven(), size=(30, 50), box=10)
    assert wide.shape == (30, 50)
    assert abs(wide.sum(axis=0, dtype=float) @ np.arange(50) / wide.sum() - 25) <= 0.5


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (200, 1), (3000, 4)])
def test_shapes_at_the_edge(shape: tuple[int, int]) -> None:
    picture = np.zeros(shape, np.uint8)
    picture[shape[0] * 3 // 4 :, shape[1] * 3 // 4 :] = 255
    if picture.min() == 255:
        with pytest.raises(InputError, match="empty"):
            prepare_image(picture)
    else:
        x, _ = prepare_image(picture)
        assert x.max() == 255


def test_a_lone_dot_is_a_blob_in_the_middle() -> None:
    x = np.zeros((28, 28), np.uint8)
    x[2, 3] = 255
    got, _ = prepare_image(x)
    assert np.count_nonzero(got) == 400
    assert got[4:24, 4:24].min() == 255


def test_large_pictures_are_averaged_first() -> None:
    got, done = prepare_image(enlarged(seven(), 10))
    assert done[0] == "averaged 2800 x 2800 down to 1400 x 1400"
    assert error(got, prepare_image(seven())[0]) < 1.5
    noise = np.random.default_rng(3).normal(128, 10, (2100, 2100)).clip(0, 255).astype(np.uint8)
    with pytest.raises(InputError, match="empty"):
        prepare_image(noise)


EMPTY = {
    "black": np.zeros((28, 28), np.uint8),
    "white": np.full((300, 200), 255, np.uint8),
    "grey": np.full((30, 30), 0.4),
    "clear": np.zeros((30, 30, 4), np.uint8),
    "nearly even": np.full((30, 30), 100, np.uint8) + np.eye(30, dtype=np.uint8) * 5,
}


@pytest.mark.parametrize("picture", EMPTY.values(), ids=EMPTY)
def test_a_picture_without_ink_is_said_to_be_empty(picture: NDArray[np.generic]) -> None:
    with pytest.raises(InputError, match="the image is empty: draw something"):
        prepare_image(picture)


BAD = {
    "four axes": (np.zeros((2, 3, 4, 1)), ShapeError, r"got shape \(2, 3, 4, 1\)"),
    "two channels": (np.zeros((9, 9, 2)), ShapeError, r"got shape \(9, 9, 2\)"),
    "vector": (np.zeros(784), ShapeError, r"got shape \(784,\)"),
    "no pixels": (np.zeros((0, 9)), ShapeError, r"got shape \(0, 9\)"),
    "whole numbers": (np.eye(9, dtype=np.int64), InputError, "uint8, or float in .0, 1., got int64"),
    "text": (np.array([["a"]]), InputError, "got <U1"),
    "beyond one": (np.eye(9) * 255, InputError, "got 0 to 255: divide it"),
    "below zero": (-np.eye(9), InputError, "got -1 to -0|got -1 to 0"),
    "nan": (np.where(np.eye(9) == 1, np.nan, 0.0), NonFiniteInputError, r"nan at \(0, 0\)"),
}


@pytest.mark.parametrize(("picture", "kind", "message"), BAD.values(), ids=BAD)
def test_arrays_that_are_no_pictures(picture: NDArray[np.generic], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        prepare_image(picture)


def test_settings_are_checked() -> None:
    with pytest.raises(SettingError, match="box is at most the shorter side of size 28 x 10, got 20"):
        prepare_image(seven(), size=(28, 10))
    with pytest.raises(SettingError, match="box"):
        prepare_image(seven(), box=0)
    with pytest.raises(UnknownNameError, match=r"unknown ink 'drak'. Did you mean 'dark'"):
        prepare_image(seven(), ink="drak")


# The pictures of MNIST themselves.

OF_MNIST: dict[str, tuple[Callable[[Bytes], Any], float, float]] = {
    # change, bound of the mean error over all pictures, bound of the share of pictures that move at all
    "itself": (lambda x: x, 0.6, 0.05),
    "inverted": (lambda x: 255 - x, 0.6, 0.05),
    "padded": (lambda x: np.pad(x, MARGIN), 0.6, 0.05),
    "inverted, padded, three times": (lambda x: enlarged(np.pad(255 - x, 9, constant_values=255), 3, 0), 0.6, 0.05),
    "three times, smooth": (lambda x: enlarged(x, 3), 8.0, 0.3),
    "ten times, smooth, JPEG on light": (lambda x: jpeg(255 - enlarged(x, 10)), 7.0, 0.3),
    "JPEG": (jpeg, 3.0, 0.05),
}


@pytest.mark.parametrize(("change", "bound", "moved"), OF_MNIST.values(), ids=OF_MNIST)
def test_pictures_of_mnist_pass_nearly_unchanged(
    tmp_path: Path, change: Callable[[Bytes], Any], bound: float, moved: float
) -> None:
    folder = Path(os.environ.get("LAYERLOOP_DATA", ""), "mnist")
    if not (folder / "t10k-images-idx3-ubyte.gz").is_file():
        pytest.skip("LAYERLOOP_DATA does not hold MNIST")
    pictures = read_idx(folder / "t10k-images-idx3-ubyte.gz")[:200]
    errors = []
    for picture in pictures:
        Image.fromarray(change(picture)).save(tmp_path / "digit.png")
        errors.append(error(prepare_image(tmp_path / "digit.png")[0], picture))  # type: ignore[arg-type]
    assert np.mean(errors) < bound  # of 255; the pictures' own mean is 33
    assert np.mean(np.array(errors) > 12) < moved  # a shift by one pixel costs 12 or more


# Files.


def test_formats_and_modes(tmp_path: Path) -> None:
    x = seven(40)
    for ending in ("png", "bmp", "gif", "tiff", "webp"):
        Image.fromarray(x).save(tmp_path / f"a.{ending}", **({"lossless": True} if ending == "webp" else {}))
        got = read_image(tmp_path / f"a.{ending}")
        grey = got if got.ndim == 2 else got[..., 0]
        assert got.dtype == np.uint8
        assert error(grey, x) < 1
    Image.fromarray(x > 127).save(tmp_path / "bits.png")
    assert set(np.unique(read_image(tmp_path / "bits.png"))) == {0, 255}
    Image.fromarray(clear(x, (1, 2, 3))).save(tmp_path / "alpha.png")
    assert read_image(tmp_path / "alpha.png").shape == (40, 40, 4)
    Image.fromarray(np.dstack([x, x, x])).convert("P").save(tmp_path / "palette.png")
    assert read_image(tmp_path / "palette.png").shape == (40, 40, 3)
    Image.fromarray(x).save(tmp_path / "clear.png", transparency=0)
    assert read_image(tmp_path / "clear.png").shape == (40, 40, 4)


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    deep = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(read_image(tmp_path / "deep.png"), np.arange(256).reshape(16, 16))
    Image.fromarray(np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)).save(tmp_path / "float.tiff")
    np.testing.assert_array_equal(read_image(tmp_path / "float.tiff"), np.arange(256).reshape(16, 16))
    Image.fromarray(np.full((4, 4), 300.0, np.float32)).save(tmp_path / "wild.tiff")
    with pytest.raises(DataFormatError, match="300"):
        read_image(tmp_path / "wild.tiff")


def test_cameras_notes_turn_the_picture_upright(tmp_path: Path) -> None:
    x = np.zeros((16, 32), np.uint8)
    x[:8, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    Image.fromarray(x).save(tmp_path / "a.jpg", exif=exif)
    got = read_image(tmp_path / "a.jpg")
    assert got.shape == (32, 16)
    assert got[2, 13] > 200
    assert got[2, 2] < 50


def png_of(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds hardly anything."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def good_png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(seven(60)).save(file, "PNG")
    return file.getvalue()


BAD_FILES = {
    "empty": (b"", "is not a picture of a known kind"),
    "text": (b"hello", "is not a picture of a known kind"),
    "EPS": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n", "is not a picture of a known kind"),
    "PPM": (b"P6 2 2 255 " + bytes(12), "is not a picture of a known kind"),
    "cut": (good_png()[:150], "is damaged"),
    "bomb, warned of": (png_of(12_000, 12_000), "has more than 89,478,485 pixels"),
    "bomb, refused": (png_of(60_000, 60_000), "has more than 89,478,485 pixels"),
    "hollow": (png_of(500, 500), "is damaged"),
}


@pytest.mark.parametrize(("content", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_files_are_refused_with_their_name(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "bad.png"
    file.write_bytes(content)
    for read in (read_image, prepare_image):
        with pytest.raises(DataFormatError, match=rf"bad\.png {message}"):
            read(file)


def test_mutated_files_raise_nothing_else(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    outcomes = {"read": 0, "refused": 0}
    for name, options in (("PNG", {}), ("JPEG", {}), ("GIF", {}), ("BMP", {}), ("TIFF", {"compression": "tiff_lzw"})):
        whole = io.BytesIO()
        Image.fromarray(seven(40)).save(whole, name, **options)
        for _ in range(40):
            content = bytearray(whole.getvalue())
            for at in random.integers(0, min(len(content), 400), random.integers(1, 6)):
                content[at] = random.integers(0, 256)
            (tmp_path / "fuzz").write_bytes(content)
            try:
                read_image(tmp_path / "fuzz")
                outcomes["read"] += 1
            except DataFormatError:
                outcomes["refused"] += 1
    assert outcomes["refused"] > 20


def test_missing_files(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.png", tmp_path):
        with pytest.raises(DataNotFoundError, match="cannot read"):
            prepare_image(path)


# Pictures in a terminal, and as files.


def test_half_blocks() -> None:
    x = np.array([[255, 0, 255, 0], [255, 255, 0, 0]], np.uint8)
    assert image_text(x) == "█▄▀ "
    assert image_text(x / 255) == "█▄▀ "
    assert image_text(np.full((3, 2), 255, np.uint8)) == "██\n▀▀"
    assert image_text(np.full((2, 5), [[0.0, 0.25, 0.5, 0.75, 1.0]])) == " ░▒▓█"


def test_colours_are_exact_greys() -> None:
    x = np.array([[0, 128], [255, 7]], np.uint8)
    assert image_text(x, colour=True) == (
        "\x1b[38;2;0;0;0m\x1b[48;2;255;255;255m▀\x1b[38;2;128;128;128m\x1b[48;2;7;7;7m▀\x1b[0m"
    )


@pytest.mark.parametrize("width", [1, 7, 28, 60])
def test_width_is_in_characters(width: int) -> None:
    lines = image_text(seven(28), width=width).split("\n")
    assert {len(line) for line in lines} == {width}
    assert len(lines) == (width + 1) // 2


def test_floats_of_any_range_are_stretched() -> None:
    assert image_text(np.array([[-3.0, 5.0], [-3.0, 5.0]])) == " █"
    assert image_text(np.full((2, 3), 7.0)) == "   "
    assert image_text(np.array([[0, 9], [0, 9]])) == " █"


@pytest.mark.parametrize("show", [image_text, lambda x: save_png(x, "never.png")], ids=["text", "png"])
def test_what_cannot_be_shown(show: Callable[[Any], object]) -> None:
    with pytest.raises(ShapeError, match=r"got shape \(784,\)"):
        show(np.zeros(784))
    with pytest.raises(NonFiniteInputError, match="inf"):
        show(np.array([[np.inf]]))
    with pytest.raises(InputError, match="complex"):
        show(np.array([[1j]]))


def test_png_is_enlarged_without_blur(tmp_path: Path) -> None:
    x = seven(28)
    path = save_png(x, tmp_path / "x.png", scale=5)
    np.testing.assert_array_equal(read_image(path), x.repeat(5, axis=0).repeat(5, axis=1))
    np.testing.assert_array_equal(read_image(save_png(x / 255, tmp_path / "y.png", scale=1)), x)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.png", "y.png"]
    with pytest.raises(OutputError, match="does not exist"):
        save_png(x, tmp_path / "no" / "x.png")
    with pytest.raises(SettingError, match="scale"):
        save_png(x, tmp_path / "z.png", scale=0)


@pytest.mark.parametrize(("old", "new"), [(20, 20), (206, 20), (7, 20), (1, 20), (20, 1), (13, 11)])
def test_resampling_keeps_levels_and_middles(old: int, new: int) -> None:
    weights = resampling(old, new)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-12)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights, weights[::-1, ::-1], atol=1e-12)
    if old == new:
        np.testing.assert_array_equal(weights, np.eye(old))
