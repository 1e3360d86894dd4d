"""Who is answered: pages of other sites are not, and nothing that is read is written."""

import hashlib
import json
import socket
from pathlib import Path

import pytest
from explorer_server import Served
from explorer_study import MODEL

from polysem.explorer.security import Security

WRITE = "/api/notes"
OTHERS = (
    "evil.example", "127.0.0.1.evil.example", "evil.example:{port}", "10.0.0.1", "", "a b", "localhost@evil.example",
    "[::ffff:8.8.8.8]",
)  # fmt: skip
OUTSIDE = (
    "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/static/../app.py", "/static/%2e%2e%2fapp.py",
    "/random/..%2f..%2fx/neurons/0", "/static//etc/passwd",
)  # fmt: skip


def asked(served, path="/api/health", method="GET", **headers):
    """Status and body of a request with exactly these headers, a name with `_` for `-`."""
    lines = [f"{method} {path} HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    with socket.create_connection((served.host, served.port), timeout=20) as stream:
        stream.sendall("\r\n".join([*lines, "Content-Length: 0", "Connection: close", "", ""]).encode())
        found = b"".join(iter(lambda: stream.recv(65536), b""))
    head, _, body = found.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode(), body.decode()


@pytest.fixture(scope="module")
def host(served):
    return f"{served.host}:{served.port}"


@pytest.mark.parametrize("path", ["/", "/api/health", "/api/search?model=random&text=a", "/static/explorer.css", "/x"])
@pytest.mark.parametrize("name", OTHERS)
def test_a_request_for_another_host_is_refused_on_every_route(served, path, name):
    status, _, body = asked(served, path, Host=name.format(port=served.port))
    assert status in (400, 403) and "results" not in body


def test_the_names_of_this_machine_alone_are_answered(served):
    for name in ("localhost", "LOCALHOST:1", "127.0.0.1:9000", "[::1]", "127.0.0.53"):
        assert asked(served, Host=name)[0] == 200, name


def test_another_origin_is_refused_wherever_it_is_sent(served, host):
    for origin in ("http://evil.example", "null", "https://" + host, "http://localhost", "file://"):
        assert asked(served, Host=host, Origin=origin)[0] == 403, origin
    assert asked(served, Host=host, Origin=f"http://{host}")[0] == 200


def test_requests_of_other_sites_are_refused_but_for_links_to_pages(served, host):
    for site in ("cross-site", "same-site", "nonsense"):
        assert asked(served, Host=host, Sec_Fetch_Site=site)[0] == 403, site
    for site in ("same-origin", "none"):
        assert asked(served, Host=host, Sec_Fetch_Site=site)[0] == 200, site
    link = {"Host": host, "Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert asked(served, "/", **link)[0] == 200
    assert asked(served, **link)[0] == 403, "a link to the API"
    assert asked(served, "/", **link | {"Sec_Fetch_Dest": "iframe"})[0] == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_write_needs_origin_site_and_token(served, host, method):
    whole = {"Host": host, "Origin": f"http://{host}", "Sec_Fetch_Site": "same-origin", "X_Polysem_Token": "wrong"}
    status, _, body = asked(served, WRITE, method, **whole)
    assert status == 403 and "token" in body
    for missing in ("Origin", "Sec_Fetch_Site"):
        left = {name: value for name, value in whole.items() if name != missing}
        status, _, body = asked(served, WRITE, method, **left)
        assert status == 403 and "needs the headers" in body


def test_a_form_of_another_page_cannot_even_ask(served, host):
    assert asked(served, "/api/activations", "POST", Host=host, Origin="http://evil.example")[0] == 403
    status, _, body = asked(served, "/api/activations", "POST", Host=host, Content_Type="text/plain")
    assert status == 400 and "takes application/json" in body


def test_every_answer_forbids_what_pages_do_not_need(served, host):
    for path, headers in {
        "/": {},
        "/api/health": {},
        "/nothing": {},
        "/api/nothing": {},
        "/x": {"Host": "evil"},
    }.items():
        head = asked(served, path, **{"Host": host} | headers)[1].lower()
        assert "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'" in head
        assert "unsafe" not in head and "frame-ancestors 'none'" in head
        assert "x-content-type-options: nosniff" in head and "referrer-policy: no-referrer" in head
        assert "access-control-allow" not in head and "server:" not in head


def test_the_right_token_passes_and_each_start_has_another():
    whole = {"host": "localhost:1", "origin": "http://localhost:1", "sec-fetch-site": "same-origin"}
    from starlette.datastructures import Headers

    security = Security(None, frozenset({"localhost"}), False, "right")
    assert security.refusal("POST", WRITE, Headers(whole | {"x-polysem-token": "right"})) == ""
    assert "token" in security.refusal("POST", WRITE, Headers(whole | {"x-polysem-token": "righ"}))
    assert "token" in security.refusal("POST", WRITE, Headers(whole))


@pytest.mark.parametrize("path", OUTSIDE)
def test_no_path_leads_to_a_file(served, host, path):
    status, _, body = asked(served, path, Host=host)
    assert status in (400, 404) and "root:" not in body and "import" not in body


def test_searches_and_pages_leave_the_results_as_they_are(many):
    def digests(folder: Path) -> dict[str, tuple[int, str]]:
        return {
            file.relative_to(folder).as_posix(): (
                file.stat().st_mtime_ns,
                hashlib.sha256(file.read_bytes()).hexdigest(),
            )
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        }

    before = digests(many)
    with Served(many) as served:
        served.ready()
        for path in ("/", "/browse", "/notes", "/nothing"):
            served.get(path)
        assert served.get("/api/search", model=MODEL, text="red", density=1)[0] == 200
        place = f"{MODEL}/blocks.0.mlp.hook_post/standard"
        assert served.post("/api/activations", {"place": place, "features": [0], "texts": ["a"]})[0] == 200
    assert digests(many) == before


def test_a_server_that_others_reach_says_so(many):
    with Served(many, "--host", "0.0.0.0", "--author", "Ada") as served:
        assert "warning: the server listens at 0.0.0.0: whoever reaches this machine can search" in served.errors
        assert "write notes as Ada" in served.errors
        served.host = "127.0.0.1"
        assert asked(served, Host="192.168.7.7:8070")[0] == 200, "a number needs no look-up that could be rebound"
        assert asked(served, Host="evil.example")[0] == 403
        assert asked(served, Host=socket.gethostname())[0] == 200


def test_the_server_imports_no_torch(many):
    with Served(many) as served:
        served.ready()
        for path in ("/", "/browse", "/notes"):
            served.get(path)
        assert served.get("/api/search", model=MODEL, text="red", density=1)[0] == 200
        maps = Path(f"/proc/{served.process.pid}/maps").read_text()
        other = Path(f"/proc/{served.health()['process']}/maps").read_text()
    assert "/torch/" in other, "the inference process has it"
    assert "/torch/" not in maps and "transformer_lens" not in maps


def test_health_names_no_more_than_it_has_to(served):
    assert set(json.loads(asked(served, Host="localhost")[2])) == {
        "server", "study", "inference", "waiting", "begins", "process"
    }  # fmt: skip
