"""Small functions in Python with varied names."""

from random import Random

from polysem.corpora.wordlists import words

VERBS = words("get find count load read make check build update sort merge parse filter collect compute scale select")
NOUNS = words("items values names lines words scores users files points numbers rows keys pages colors tokens edges")
SINGULAR = {"colors": "color", "keys": "key", "pages": "page", "files": "file", "edges": "edge", "names": "name"}
SINGULAR |= {"lines": "line", "values": "value", "scores": "score"}
ARGUMENTS = words("limit size start offset factor default threshold step width depth")
RESULTS = words("result total found output best count answer")
BODIES = (
    "def {name}({many}):\n    {result} = []\n    for {one} in {many}:\n        if {one} > {number}:\n"
    "            {result}.append({one})\n    return {result}",
    "def {name}({many}, {argument}={number}):\n    return [{one} * {argument} for {one} in {many}]",
    "def {name}({many}):\n    {result} = 0\n    for {one} in {many}:\n        {result} += {one}\n    return {result}",
    "def {name}({many}, {argument}):\n    if not {many}:\n        return None\n    return max({many}) - {argument}",
    "def {name}(path):\n    with open(path) as file:\n        {many} = file.read().split()\n    return len({many})",
    "def {name}({many}):\n    {result} = {{}}\n    for index, {one} in enumerate({many}):\n"
    "        {result}[{one}] = index + {number}\n    return {result}",
    "class {Kind}:\n    def __init__(self, {argument}={number}):\n        self.{argument} = {argument}\n\n"
    "    def {name}(self, {many}):\n        return {many}[: self.{argument}]",
    "def {name}({many}, {argument}={number}):\n    {result} = sorted({many})\n    while len({result}) > {argument}:\n"
    "        {result}.pop()\n    return {result}",
    "import math\n\n\ndef {name}({argument}):\n    {result} = math.sqrt({argument} ** 2 + {number})\n"
    "    return round({result}, {digit})",
    "for {one} in range({number}):\n    if {one} % {digit} == 0:\n        print({one}, {name}({one}))\n"
    "    else:\n        {many}.append({one})",
    "try:\n    {result} = {name}({many}, {argument}={number})\nexcept ValueError as error:\n    print(error)\n"
    "    {result} = None",
    'def {name}({one}):\n    """Return the {argument} of one {one}."""\n    return {one}.{argument} + {number}',
)


def write(random: Random) -> str:
    """Four to seven functions, classes or loops."""
    return "\n\n\n".join(_part(random) for _ in range(random.randrange(4, 8)))


def _part(random: Random) -> str:
    many = random.choice(NOUNS)
    verb, other = random.choice(VERBS), random.choice(NOUNS)
    return random.choice(BODIES).format(
        name=f"{verb}_{other}",
        Kind=f"{other.capitalize()}{random.choice(('Store', 'List', 'Reader', 'View', 'Cache'))}",
        many=many,
        one=SINGULAR.get(many, many[:-1]),
        argument=random.choice(ARGUMENTS),
        result=random.choice(RESULTS),
        number=random.choice((0, 1, 2, 3, 5, 8, 10, 12, 16, 20, 32, 50, 64, 100, 255, 1000)),
        digit=random.randrange(2, 7),
    )
