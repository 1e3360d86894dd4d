"""Checks of what params.yaml points at, and of the machine, before any job starts: SQLite, files, folders, space."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from polysem.activations.handed_over import place_of
from polysem.corpora.sources.files.section import FilesCorpus
from polysem.corpora.sources.huggingface.section import HuggingFaceCorpus
from polysem.corpora.sources.images.section import CLASSES, ImagesCorpus
from polysem.index.full_text import require_full_text
from polysem.io.begun import bytes_in
from polysem.io.content import known_digest
from polysem.io.disk import fits, in_gigabytes
from polysem.io.errors import InputError, named
from polysem.io.files import expanded, files_of, matching_files
from polysem.io.stores import partial_of
from polysem.layout.place import RESULTS
from polysem.layout.place import corpus as documents_of
from polysem.models.processing import native_obstacles, refuse
from polysem.models.tokenizer_file import local_tokenizer
from polysem.params.addons import modules_of
from polysem.params.base import CorpusSection, Entry, ModelSection, possible_hub_id
from polysem.params.explainers.transformers import TransformersExplainer
from polysem.params.models.classifier import ClassifierModel
from polysem.params.models.imported import ImportedModel, is_gguf
from polysem.params.models.language import block_sites, check_sites
from polysem.params.models.trained import TrainedModel
from polysem.params.recipes.pretrained import FORMATS, PretrainedSae
from polysem.params.study import Study
from polysem.workflow import artifacts
from polysem.workflow.checks import checked
from polysem.workflow.checks.local_configs import described, local_config
from polysem.workflow.checks.local_models import check_local_model
from polysem.workflow.checks.needs import store_bytes
from polysem.workflow.checks.shapes import config_shape, known_outline, width
from polysem.workflow.provenance.records import read_record
from polysem.workflow.running.stated import OutsideFiles

TEXT_SUFFIXES = (".txt", ".jsonl", ".json")
LEAST_FREE = 3e5
"""Bytes that must be free on the disk before anything is begun."""
DECODED_BYTES = 64 << 20
"""Text files are decoded up to here before the run; the step that reads them checks the rest."""


def check(study: Study) -> None:
    """InputError for the first thing that cannot work; nothing is downloaded and nothing written."""
    require_full_text()
    for name, corpus in study.corpora.items():
        _check_corpus(f"corpora.{name}", corpus, _is_made(name, corpus))
    for name, model in study.models.items():
        _check_model(f"models.{name}", model)
        if isinstance(model, ClassifierModel) and model.weights is not None:
            _check_classifier(f"models.{name}", model, study.corpora[model.corpus])
    for sae in study.saes.values():
        if sae.imported and sae.imported.path is not None:
            _check_published(study, sae.id, sae.imported)
    for name, explainer in study.explainers.items():
        if isinstance(explainer, TransformersExplainer):
            check_explainer(f"explainers.{name}.path", explainer.path)
    _check_space(study)


def check_ledger(ledger: Path) -> None:
    """InputError for published numbers (`workflow/claims.yaml`) that the last step could not read."""
    from polysem.report import claims

    stamp = checked.stamp(None, [ledger] if ledger.is_file() else [], claims.__name__)
    checked.once(stamp, lambda: claims.read_ledger(ledger))


def check_explainer(where: str, path: str) -> None:
    """A model that explains is a GGUF file, or a folder with all that transformers reads."""
    if not matching_files(path):
        raise InputError(f"{where}: there is nothing at {path!r}; paths start at the folder of the Snakefile")
    if is_gguf(path):
        return
    folder = expanded(path)
    lacking = [name for name in ("config.json", "tokenizer.json") if not (folder / name).is_file()]
    if lacking or not [*folder.glob("*.safetensors")]:
        raise InputError(
            f"{where}: {path!r} lacks {' and '.join(lacking or ['*.safetensors'])}; name the folder of a model as "
            "transformers writes it, or a .gguf file"
        )


def outside_paths(section: Entry) -> list[str]:
    """Paths and patterns outside of the workflow that an entry is read from; none for those of the hub and the web. Of
    the folder of an SAE only the files that its format reads count."""
    if isinstance(section, PretrainedSae) and section.path is not None:
        from polysem.saes.fetch import local_files

        home = Path.home()
        files = local_files(section)
        return [f"~/{file.relative_to(home)}" if section.path[:2] == "~/" else str(file) for file in files]
    return section.outside_files()


def outside_files(section: Entry) -> list[Path]:
    """The files of these paths, sorted."""
    return files_of(outside_paths(section))


def _check_corpus(where: str, corpus: CorpusSection, made: bool) -> None:
    match corpus:
        case FilesCorpus():
            key, patterns = "paths", [corpus.paths] if isinstance(corpus.paths, str) else corpus.paths
        case HuggingFaceCorpus() if corpus.local_copy is not None:
            key, patterns = "local_copy", [corpus.local_copy]
        case HuggingFaceCorpus():
            with named(f"{where}.dataset", ValueError):
                possible_hub_id(corpus.dataset)
            return
        case ImagesCorpus() if corpus.path is not None:
            key, patterns = "path", [corpus.path]
        case _:
            return
    for pattern in patterns:
        if isinstance(corpus, FilesCorpus) and expanded(pattern).is_dir():
            raise InputError(
                f"{where}.{key}: {pattern!r} is a folder; write a glob of its files, as {pattern.rstrip('/')}/*.txt"
            )
        if not matching_files(pattern):
            raise InputError(f"{where}.{key}: no file matches {pattern!r}; paths start at the folder of the Snakefile")
    if isinstance(corpus, ImagesCorpus) and not made:
        from polysem.corpora.mnist_files import find_files

        with named(f"{where}.{key}"):
            find_files(expanded(patterns[0]))
    for file in [] if made else outside_files(corpus):
        if file.stat().st_size == 0:
            raise InputError(f"{where}.{key}: {file} is empty")
        if file.suffix in TEXT_SUFFIXES:
            _check_text(where, key, file)
    if isinstance(corpus, FilesCorpus | HuggingFaceCorpus) and not made:
        _check_documents(where, key, corpus)


def _is_made(name: str, corpus: CorpusSection) -> bool:
    """Whether an earlier run made the corpus from these very keys and files."""
    path = documents_of(name)
    record = read_record(path) if Path(path).exists() else None
    if record is None:
        return Path(path).exists()
    digest = OutsideFiles.of(outside_paths(corpus)).digest
    return record.params.get("params") == corpus.values() and digest in record.digests


def _check_documents(where: str, key: str, corpus: FilesCorpus | HuggingFaceCorpus) -> None:
    """InputError unless both splits get a document, as far as the first `DECODED_BYTES` of the texts tell; reading ends
    as soon as both have one, usually with the tenth document."""
    from polysem.corpora.sources.files import make as files
    from polysem.corpora.sources.huggingface import make as huggingface
    from polysem.corpora.splits import first_distinct, is_eval, require_both

    with named(f"{where}.{key}"):
        if isinstance(corpus, FilesCorpus):
            found, reading = files.local_files(corpus), files.reading_of(corpus)
        else:
            found, reading = huggingface.local_files(corpus), huggingface.reading_of(corpus)
        splits: list[str] = []
        read = 0
        for text in first_distinct(reading.texts(found), corpus.limit, set()):
            splits.append("eval" if is_eval(text, corpus.eval_share) else "train")
            read += len(text)
            if len(set(splits)) == 2 or read > DECODED_BYTES:
                return
        require_both(splits, "what is read", reading.advice())


def _check_text(where: str, key: str, file: Path) -> None:
    seen = False
    with named(f"{where}.{key}"):
        for start, piece in _pieces(file):
            try:
                seen = bool(piece.decode("utf-8").strip()) or seen
            except UnicodeDecodeError as error:
                raise InputError(
                    f"{file} is not UTF-8 (byte {start + error.start}); convert it, for example with iconv"
                ) from None
        if not seen and file.stat().st_size <= DECODED_BYTES:
            raise InputError(f"{file} holds nothing but white space, so it yields no document")


def _pieces(file: Path) -> Iterator[tuple[int, bytes]]:
    """Whole lines of the first `DECODED_BYTES` of a file, unpacked, a megabyte at a time, with the offset of each."""
    from polysem.corpora.compressed import opened

    start = 0
    with opened(file) as stream:
        while start < DECODED_BYTES and (piece := stream.read(1 << 20)):
            piece += stream.readline(DECODED_BYTES)
            yield start, piece
            start += len(piece)


def _check_model(where: str, model: ModelSection) -> None:
    match model:
        case TrainedModel():
            refuse(model.processing, native_obstacles({"normalization_type": model.architecture.normalization}), where)
        case ImportedModel():
            if model.tokenizer is not None:
                with named(where):
                    local_tokenizer(model.tokenizer)
            if model.local_copy is not None:
                _check_place(where, model.local_copy)
                check_local_model(where, model, outside_files(model))
                _check_config(where, model.local_copy, model)
            _check_outline(where, model)
        case _:
            return


def _check_outline(where: str, model: ImportedModel) -> None:
    """Sites that the architecture has not are refused, with those that it has, and sequences that are too long."""
    outline = known_outline(where.removeprefix("models."), model)
    if outline is None:
        return
    with named(f"{where}.sites", ValueError):
        check_sites(list(model.sites), list(outline.widths))
    if outline.positions is not None and model.context_length > outline.positions:
        raise InputError(
            f"{where}.context_length is {model.context_length}, and the model has {outline.positions} positions; lower "
            "context_length"
        )


def _check_classifier(where: str, model: ClassifierModel, corpus: CorpusSection) -> None:
    """Layers of given weights, against the params and the images."""
    from polysem.models.import_classifier import read_layers

    assert model.weights is not None
    assert isinstance(corpus, ImagesCorpus)
    with named(f"{where}.weights"):
        (pixels, *_, classes), _ = read_layers(expanded(model.weights), model.hidden)
    wanted = corpus.pixels
    if (pixels, classes) != (wanted, CLASSES):
        raise InputError(
            f"{where}.weights: {model.weights} reads {pixels} pixels and knows {classes} classes, "
            f"corpora.{model.corpus} has {wanted} and {CLASSES}"
        )


def _check_place(where: str, path: str) -> None:
    place, kind = expanded(path), "file" if is_gguf(path) else "folder"
    if not (place.is_file() if is_gguf(path) else place.is_dir()):
        more = "; a model in one file is a .gguf file" if place.is_file() else ""
        raise InputError(f"{where}.local_copy: {path!r} is no {kind}{more}; paths start at the folder of the Snakefile")


def _check_config(where: str, copy: str, model: ImportedModel) -> None:
    """Sites beyond the last layer are refused, with those that there are, and a shape that is not the config's."""
    found = config_shape(local_config(copy))
    if found is None:
        return
    with named(f"{where}.sites", ValueError):
        check_sites(list(model.sites), block_sites(found.layers))
    for key in ("layers", "d_model", "d_mlp", "vocabulary"):
        if model.shape is not None and getattr(model.shape, key) != getattr(found, key):
            raise InputError(
                f"{where}.shape.{key} is {getattr(model.shape, key)}, but {described(copy)} says "
                f"{getattr(found, key)}; mend it or remove shape"
            )


def _check_published(study: Study, name: str, section: PretrainedSae) -> None:
    """A local SAE, whose weights are read once to see that they can be, and what is known of its site."""
    from polysem.saes.agreement import disagreement
    from polysem.saes.fetch import local_weights, read_published, require_digest

    with named(f"saes.{name}"):
        weights = local_weights(section)
        published = read_published(section.format, weights)
        require_digest(section, weights, known_digest(weights))
        stamp = checked.stamp(section, outside_files(section), modules_of(FORMATS)[section.format])
        checked.once(stamp, published.load)
    if section.features not in (None, published.features):
        raise InputError(f"saes.{name}.features is {section.features}, but {weights} has {published.features}; mend it")
    for model in section.models:
        entry = study.models[model]
        known, outline = width(model, entry, section.site), known_outline(model, entry)
        modules = None if outline is None else outline.modules
        outputs = None if section.target is None else width(model, entry, section.target)
        if problem := disagreement(published, section.site, known, entry.settings(), modules, section.target, outputs):
            raise InputError(f"saes.{name} does not fit models.{model}: {problem} ({weights})")


def _check_space(study: Study) -> None:
    """InputError if the activation stores that are still to be made do not fit on the disk."""
    stores = artifacts.activation_splits(study)
    left = [(site, split) for site, split in stores if not Path(site.activations(split).receipt).exists()]
    begun = [Path(site.activations(split).store) for site, split in left]
    there = sum(bytes_in(partial_of(of)) for store in begun for of in (store, place_of(store)))
    needed = sum(store_bytes(study, site, split) or 0.0 for site, split in left) - there
    results = Path(RESULTS)
    free = shutil.disk_usage(results if results.exists() else Path()).free
    if free < LEAST_FREE:
        raise InputError(
            f"the disk of results/ is full: {in_gigabytes(free)} are free, and a run needs {LEAST_FREE / 1e6:g} for "
            "its records and logs alone; free some space"
        )
    if not fits(needed, free):
        raise InputError(
            f"the activation stores need up to {in_gigabytes(needed)}, the disk of results/ has {in_gigabytes(free)} "
            "free; lower activations.train_tokens / eval_tokens, or free some space"
        )
