"""Pages over real sockets: addresses that say too much, too little or nothing, and an SAE that was added."""

import json

import pytest
from explorer_server import Served
from explorer_study import MODEL

from polysem.layout.place import Place

SITE = "blocks.0.mlp.hook_post"
ADDED = f"{MODEL}/{SITE}/standard-2"


@pytest.fixture(scope="module")
def adding(many):
    """An explorer that shows an SAE of the study once more, as somebody's own."""
    path = Place(MODEL, SITE, "standard", root=str(many)).sae.path
    with Served(
        many, "--author", "Ada", "--add", path, "--format", "saelens", "--model", MODEL, "--site", SITE
    ) as found:
        found.ready()
        yield found


def test_a_search_that_is_refused_keeps_its_text(served):
    status, _, page = served.get("/", text="red ball", scale="bogus")
    assert status == 400 and b"\nred ball</textarea>" in page


def test_an_address_that_is_no_utf_8_is_refused(served):
    for path in ("/?text=%ff", f"/{MODEL}/{SITE}/standard/3?text=%ff"):
        status, _, page = served.get(path)
        assert status == 400 and b"the parameters are no UTF-8" in page


@pytest.mark.parametrize("path", ["/nosuch", f"/{MODEL}", f"/{MODEL}/{SITE}", "/a/b/c/d/e/f"])
def test_a_page_that_there_is_not_is_a_page_that_leads_on(served, path):
    status, headers, page = served.get(path)
    assert status == 404 and headers["content-type"].startswith("text/html")
    assert b"there is no page" in page and b'href="/browse"' in page


def test_of_an_sae_that_was_added_all_addresses_say_that_it_was(adding):
    name = json.loads(adding.get("/api/search", model=MODEL, text="red", density=1, top=1000)[2])["results"]
    assert "standard-2" in {one["dictionary"] for one in name}
    assert adding.get(f"/{ADDED}/3")[0] == 200
    words = f"{ADDED} was added with --add and never measured"
    for found in (adding.get(f"/{ADDED}"), adding.get(f"/api/feature/{ADDED}/3")):
        assert found[0] == 400 and words in found[2].decode()
