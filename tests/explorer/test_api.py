"""The API over real sockets: what it answers, and what it refuses."""

import json
from argparse import Namespace

import jsonschema
import pytest
from explorer_server import address
from explorer_study import MODEL

import polysem
from polysem.io.errors import InputError
from polysem.workflow.commands.explore import command

PLACE = f"{MODEL}/blocks.0.mlp.hook_post/standard"
SEARCH = {"model": MODEL, "text": "red ball", "density": 1}


def answer(found, status=200):
    assert found[0] == status, found
    return json.loads(found[2])


def test_a_search_is_answered_as_python_answers_it(served, many):
    found = answer(served.get("/api/search", **SEARCH, top=7, kind="features", tokens=[2, 3]))
    expected = polysem.open(many).search("red ball", top=7, density=1, kind="features", tokens=[2, 3])
    assert found == expected.as_json()
    assert len(found["results"]) == 7 and found["tokens"][2:4] == ["e", "d"]


def test_activations_of_features_on_texts_are_answered(served, many):
    asked = {"place": PLACE, "features": [3, 0], "texts": ["red", "blue ball"]}
    one, other = answer(served.post("/api/activations", asked))["texts"]
    assert one["tokens"][1:] == ["r", "e", "d"] and len(one["activations"]) == 2
    ran = polysem.open(many)[MODEL].run("blue ball")["blocks.0.mlp.hook_post"]
    encoded = polysem.open(many)[MODEL]["blocks.0.mlp.hook_post"]["standard"].encode(ran)
    assert other["activations"][0] == pytest.approx(encoded[:, 3].values.tolist(), abs=1e-4)


def test_health_is_answered(served):
    found = answer(served.get("/api/health"))
    assert found["server"] == "ready" and found["inference"] in ("ready", "busy") and found["begins"] >= 1


@pytest.mark.parametrize(
    ("changed", "status", "said"),
    [
        ({"text": ""}, 400, "search.text: the text is empty; give one with at least one token"),
        ({"text": "a" * 801}, 400, "search.text: the text has 801 characters, and 800 are allowed; give a shorter one"),
        ({"top": 1001}, 400, "search.top: found '1001', allowed is less than or equal to 1000"),
        ({"top": "many"}, 400, "search.top: found 'many', allowed is a whole number"),
        ({"density": 0}, 400, "search.density: found '0', allowed is greater than 0"),
        ({"density": "nan"}, 400, "search.density: found 'nan', allowed is a finite number"),
        ({"scale": "rwa"}, 400, "search.scale: found 'rwa', allowed is 'raw', 'share', 'quantile' or 'surprise'"),
        ({"tokens": -1}, 400, "search.tokens.0: found '-1', allowed is greater than or equal to 0"),
        ({"tokens": 99}, 400, "the text has no token 99; its tokens are 0 … 8"),
        ({"top": [3, 4]}, 400, "the parameter 'top' is named 2 times; name it once"),
        ({"topp": 3}, 400, "there is no parameter 'topp' (did you mean 'top'?); allowed here: text, top, scale"),
        ({"model": "randon"}, 404, "has no model 'randon' (did you mean 'random'?); there are: random"),
        ({"sites": "blocks.0"}, 404, "the model random has no site 'blocks.0'"),
        ({"dictionaries": "neuron"}, 404, "has no dictionary 'neuron' (did you mean 'neurons'?)"),
        ({"scale": "share"}, 400, "nothing can be ranked by share; random/blocks.0.mlp.hook_post/neurons is left out"),
        ({"model": "../../etc"}, 404, "has no model '../../etc'"),
    ],
)
def test_a_search_that_cannot_be_is_a_sentence(served, changed, status, said):
    assert said in answer(served.get("/api/search", **SEARCH | changed), status)["error"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"place": PLACE, "features": [500], "texts": ["a"]}, 404, "has no feature 500; it has 0 … 499"),
        ({"place": PLACE, "features": [-1], "texts": ["a"]}, 400, "activations.features.0: found -1"),
        ({"place": PLACE, "features": list(range(65)), "texts": ["a"]}, 400, "it has 65 entries, and 64 are allowed"),
        ({"place": PLACE, "features": [0], "texts": ["a"] * 65}, 400, "it has 65 entries, and 64 are allowed"),
        ({"place": PLACE, "features": [0], "texts": ["a" * 801]}, 400, "has 801 characters"),
        ({"place": PLACE, "features": [0], "texts": [""]}, 400, "the text is empty"),
        ({"place": PLACE, "features": [0], "texts": ["\ud800"]}, 400, "half of a surrogate pair"),
        ({"place": PLACE, "features": [], "texts": ["a"]}, 400, "allowed is a list of 1 or more"),
        ({"place": "random/x/standard", "features": [0], "texts": ["a"]}, 404, "random has no 'x/standard'"),
        ({"place": "../..", "features": [0], "texts": ["a"]}, 404, "has no model '..'"),
        ({"place": PLACE, "features": [0], "texts": ["a"], "top": 3}, 400, "activations.top: unknown key"),
        ([], 400, "the request holds list; send a JSON object"),
        (b"{", 400, "the request is no JSON"),
        (b'{"a":' * 100_000, 400, "the request is no JSON"),
        (b"\xff", 400, "the request is no JSON"),
        (b" " * 2_000_000, 413, "more than 1,048,576 bytes"),
    ],
)
def test_a_test_that_cannot_be_is_a_sentence(served, body, status, said):
    assert said in answer(served.post("/api/activations", body), status)["error"]


def test_parameters_are_utf_8_or_refused(served):
    found = served.get("/api/search?model=random&text=%ff")
    assert answer(found, 400)["error"].startswith("the parameters are no UTF-8")
    assert answer(served.get("/api/search", **SEARCH | {"text": "…é\n\0‮<b>"}))["text"] == "…é\n\0‮<b>"


def test_what_is_not_there_and_wrong_methods_are_json(served):
    assert "/api/schema describes" in answer(served.get("/api/nothing"), 404)["error"]
    status, headers, _ = served.post("/api/search", {}, Origin="")
    assert status == 403, "a POST that is no question is a write"
    status, headers, body = served.get("/api/activations")
    assert (status, headers["allow"]) == (405, "POST") and b"is asked with POST" in body
    assert answer(served.get("/api/health", x=1), 400)["error"].endswith("takes none")


def test_answers_are_what_the_schema_says(served):
    schema = answer(served.get("/api/schema"))
    assert schema["openapi"].startswith("3.1")
    assert set(schema["paths"]) >= {"/api/search", "/api/activations", "/api/health"}

    def holds(path, method, found):
        described = schema["paths"][path][method]["responses"][str(found[0])]["content"]["application/json"]["schema"]
        jsonschema.validate(json.loads(found[2]), described | {"components": schema["components"]})

    asked = {"place": PLACE, "features": [3], "texts": ["red"]}
    holds("/api/search", "get", served.get("/api/search", **SEARCH))
    holds("/api/search", "get", served.get("/api/search"))
    holds("/api/activations", "post", served.post("/api/activations", asked))
    holds("/api/health", "get", served.get("/api/health"))
    body = schema["paths"]["/api/activations"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    jsonschema.validate(asked, body | {"components": schema["components"]})
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(asked | {"texts": []}, body | {"components": schema["components"]})


def test_each_parameter_of_the_schema_is_taken(served):
    schema = answer(served.get("/api/schema"))
    values = {
        "tokens": [1, 2],
        "sites": "blocks.0.mlp.hook_post",
        "dictionaries": ["neurons", "standard"],
        "top": 3,
        "scale": "raw",
        "kind": "all",
        "bos": "true",
    }
    asked = SEARCH | values
    assert {one["name"] for one in schema["paths"]["/api/search"]["get"]["parameters"]} == set(asked)
    assert len(answer(served.get(address("/api/search", **asked)))["results"]) == 3


def test_a_port_that_there_is_not_is_a_sentence(tmp_path):
    with pytest.raises(InputError, match="--port: found 99999; allowed are 0, for any that is free, to 65535"):
        command(Namespace(results=tmp_path, add=None, format=None, model=None, site=None, port=99999))
