"""One browser and one explorer for all tests of a process; each test has a page of its own, which must stay without
errors."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from browsing import FLAGS, chromium, explored
from finished_run import finished, shared
from repository import Repository, environment

__all__ = ["finished", "shared"]

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed; pip install playwright")

SAE = "/stories-1l/blocks.0.mlp.hook_post/topk-x4"
"""The page of a dictionary."""
expect = playwright.expect
expect.set_options(timeout=60_000)


@pytest.fixture(scope="session")
def repository(finished, tmp_path_factory) -> Repository:
    """A finished study in which the tests write notes."""
    return finished.copy(tmp_path_factory.mktemp("explored") / "repository")


@pytest.fixture(scope="session")
def address(repository) -> Iterator[str]:
    """Where it is explored, by Ada."""
    with open_by(repository, "Ada") as found:
        yield found


def open_by(repository: Repository, author: str) -> AbstractContextManager[str]:
    """The address of an explorer on the results of a repository."""
    return explored(repository / "results", author, environment(repository.folder))


@pytest.fixture(scope="package")
def browser() -> "Iterator[playwright.Browser]":
    """The system's Chromium, until this folder's tests end: while it is driven, no other test can run an event loop."""
    if (path := chromium()) is None:
        pytest.skip("there is no Chromium on this machine; apt-get install chromium")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=path, headless=True, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser) -> "Iterator[Callable[..., playwright.Page]]":
    """Opens a page in a context of its own, with the settings that playwright takes."""
    contexts, wrong = [], []

    def open_one(**settings) -> "playwright.Page":
        context = browser.new_context(**settings)
        contexts.append(context)
        context.set_default_timeout(60_000)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"{page.url}: {error}"))
        page.on("dialog", lambda dialog: wrong.append(f"{page.url}: {dialog.message}"))
        page.on("console", lambda said: said.type == "error" and wrong.append(f"{page.url}: {said.text}"))
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert not wrong


@pytest.fixture
def page(open_page) -> "playwright.Page":
    """A page with nothing special about it."""
    return open_page(viewport={"width": 1200, "height": 900})
