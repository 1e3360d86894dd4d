"""All pages, light and wide, dark and narrow: nothing is cut off, and axe has nothing to say."""

import pytest

from .conftest import SAE

axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright",
    reason="axe-playwright-python, which holds axe-core, is not installed; pip install axe-playwright-python",
)
PAGES = {
    "first visit": "/",
    "search": "/?text=Once+upon+a+time+there+was+a+girl.&density=1&scale=share&tokens=2",
    "nothing found": "/?text=.&density=0.0000001",
    "refused": "/browse?x=1",
    "browse": "/browse",
    "dictionary": f"{SAE}?sort=frequency",
    "feature": f"{SAE}/7?text=red&text=He+was+sad.",
    "neuron": "/stories-1l/blocks.0.mlp.hook_post/neurons/3",
    "images": "/digits/layers.0.hook_post/topk-x4/3",
    "notes": "/notes",
}


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_and_nothing_is_cut_off(page, address, name):
    for width, scheme in ((1200, "light"), (390, "dark")):
        page.set_viewport_size({"width": width, "height": 844})
        page.emulate_media(color_scheme=scheme)
        page.goto(f"{address}{PAGES[name]}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = axe.Axe().run(page).response["violations"]
        assert not found, [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]


def test_light_and_dark_differ(page, address):
    colours = set()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.goto(address)
        colours.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(colours) == 2
