"""Pictures of the explorer for docs/explorer.md, from a finished study: `python benchmarks/screenshots.py [RESULTS]`.

Needs playwright and the system's Chromium. What they show is chosen by what there is: any study of text has them all.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from browsing import FLAGS, PATIENCE, chromium, explored
from playwright.sync_api import Page, sync_playwright

FOLDER = Path(__file__).resolve().parents[1] / "docs/explorer"
TEXT = "Once upon a time there was a little girl named Lily. She was happy."
WIDE = {"width": 1100, "height": 820}


def search(page: Page) -> None:
    """A search that is sorted by a token."""
    page.get_by_label("A text").fill(TEXT)
    page.get_by_label("A text").press("Enter")
    page.locator("[data-say]").wait_for()
    page.get_by_text("happy", exact=False).locator("xpath=ancestor::label").last.click()
    page.wait_for_url("**tokens=**")
    settled(page)


def feature(page: Page) -> None:
    """The page of the first result, with two texts."""
    page.locator(".results h2 a").first.click()
    page.wait_for_url("**/*?text=*")
    page.get_by_role("button", name="Another text beside it").click()
    page.get_by_role("textbox", name="Text 2").fill(TEXT.replace("happy", "sad"))
    page.locator(".strongest").nth(1).wait_for()


def clusters(page: Page) -> None:
    """The clusters of the first feature of the same dictionary with several, and which tokens matter."""
    for _ in range(100):
        if page.get_by_role("tab").count() > 2:
            break
        page.goto(page.locator("a[rel=next]").evaluate("each => each.href"))
    if (measure := page.locator("#measure")).count():
        measure.click()
    page.locator("#importance").wait_for()
    page.locator("#clusters").scroll_into_view_if_needed()


def dictionary(page: Page) -> None:
    """The features of the dictionary, the most monosemantic first."""
    page.locator(".path a").last.click()
    page.get_by_role("link", name="monosemanticity").click()
    page.wait_for_url("**sort=monosemanticity**")


def settled(page: Page) -> None:
    """Wait until an answer is shown."""
    page.locator("#answer[aria-busy=false]").wait_for()


PICTURES: dict[str, Callable[[Page], None]] = {
    "search": search,
    "feature": feature,
    "clusters": clusters,
    "dictionary": dictionary,
}
"""Each begins where the one before ended."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="?", type=Path, default=Path("results"), help="the results folder of a study")
    results = parser.parse_args().results.resolve()
    path = chromium() or parser.error("there is no Chromium on this machine; apt-get install chromium")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with explored(results, "Ada") as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, headless=True, args=list(FLAGS))
        page = browser.new_page(viewport=WIDE, color_scheme="light")
        page.set_default_timeout(1000 * PATIENCE)
        page.goto(address)
        for name, show in PICTURES.items():
            show(page)
            whole = page.locator("#clusters") if name == "clusters" else page
            whole.screenshot(path=FOLDER / f"{name}.png")
            print(FOLDER / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
