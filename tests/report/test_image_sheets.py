"""Sheets of a classifier show images in place of tokens."""

from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from polysem.io.stores import create_array, written_store
from polysem.layout.annotations import NOBODY
from polysem.layout.place import Place
from polysem.report.write_sheets import write_sheets

from .sheet_case import BEFORE, CLUSTERED, DIFFERENT, DRAWN, MODEL, SAE, SITE, TOP, Page, SheetCase, dataset, receipt

HEIGHT, WIDTH, IMAGES = 3, 5, 130


@pytest.fixture
def case(tmp_path):
    case = SheetCase(tmp_path)
    examples = case.tables["examples"]
    places = ("feature", "example")
    variables = {name: (places, examples[name].values) for name in ("activation", "sequence", "position", "quantile")}
    variables["sequence"] = (places, np.where(examples["sequence"] < 0, -1, examples["sequence"]))
    case.tables["examples"] = dataset(
        examples.sizes["feature"],
        **variables,
        kind=("example", examples["kind"].values),
        offset=("offset", [0]),
        token=((*places, "offset"), np.full((*examples["activation"].shape, 1), -1, np.int32)),
        window_activation=((*places, "offset"), examples["activation"].values[..., None]),
    )
    clusters = case.tables["clusters"].isel(offset=[BEFORE])
    clusters["cluster_token"] = clusters["cluster_token"] * 0 - 1
    clusters["example_sequence"] = clusters["example_sequence"] * 0 + np.arange(5) + 60
    case.tables["clusters"] = clusters
    case.tables["logits"]["boosted_token"] = case.tables["logits"]["boosted_token"] * 0 + np.arange(10)
    case.pixels = np.random.default_rng(3).random((IMAGES, HEIGHT * WIDTH)).astype(np.float32)
    case.classes = (np.arange(IMAGES) % 10).astype(np.int32)
    attributes = {"kind": "images", "tags": [], "height": HEIGHT, "width": WIDTH, "classes": 10}
    with written_store(tmp_path / "eval.zarr", attributes=attributes, params={}, code="", device="cpu") as group:
        create_array(group, "pixels", case.pixels.shape, "float32", ("image", "pixel"), compressed=True)[:] = (
            case.pixels
        )
        create_array(group, "labels", case.classes.shape, "int32", ("image",), compressed=True)[:] = case.classes
    return case


def written(case, **sheets):
    output = case.folder / "images" / MODEL / SITE / SAE
    write_sheets(
        Place(MODEL, SITE, SAE),
        case.write_tables(),
        NOBODY,
        output,
        case.choice(SAE, **sheets),
        [],
        images=case.folder / "eval.zarr",
    )
    return output


def test_every_example_is_its_own_image_pixel_by_pixel(case):
    folder = written(case, listed={f"{MODEL}/{SITE}/{SAE}": [3]})
    images = Page(folder / "3.html").all("img")
    clustered = [60 + example for example in range(CLUSTERED)]
    assert len(images) == len(DIFFERENT) + TOP + DRAWN + CLUSTERED
    numbers = case.tables["examples"]["sequence"].values[3]
    numbers = [*numbers[DIFFERENT], *numbers, *clustered]
    for number, image in zip(sorted(numbers, key=str), sorted(images, key=lambda image: image["alt"]), strict=True):
        assert image["alt"] == f"image {number} of class {number % 10}"
        assert (int(image["width"]), int(image["height"])) == (WIDTH, HEIGHT)
        content = b64decode(image["src"].removeprefix("data:image/png;base64,"))
        shown = np.asarray(Image.open(BytesIO(content)))
        ink = 255 * (1 - case.pixels[number].reshape(HEIGHT, WIDTH))
        assert shown.dtype == np.uint8 and np.abs(shown - ink).max() <= 0.5


def test_classes_stand_in_place_of_tokens(case):
    folder = written(case, polysemantic=0, random=0, listed={f"{MODEL}/{SITE}/{SAE}": [3]})
    page = Page(folder / "3.html")
    assert [row[0] for row in page.tables["Boosted"]] == ["class", *(f"class {number}" for number in range(10))]
    assert "900 of 10,000 images" in page.text and "token" not in page.text
    assert "image 100, class 0; stands for 2 similar" in page.text
    assert "Different ones among its 12 strongest: 2 neuron embeddings." in page.text and not page.contexts
    (sheet,) = receipt(folder)["sheets"]
    assert sheet["tokens"] == ["class 0", "class 1", "class 2", "class 3", "class 4"]
    assert len(Page(folder / "index.html").all("img")) == 5
