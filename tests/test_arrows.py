"""The house is a staircase: a file imports only from the levels below it and from earlier files of its folder."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "layerloop"

# One row a level, lowest first. Inside a folder, files may import those named before them.
LEVELS: tuple[tuple[str, ...], ...] = (
    (
        *(
            "version",
            "lazy",
            "errors",
            "signals",
            "containers",
            "cores",
            "settings",
            "atomic",
            "finite",
            "memory",
            "csr",
        ),
        *("arraylike", "plain", "decision"),
    ),
    ("maths", "optim", "data", "describe"),
    ("layers",),
    ("losses",),
    ("plan", "preprocessing", "frames", "features", "metrics", "table_files"),
    ("engine",),
    (
        *("initialise", "figures", "targets", "vocabulary", "prediction", "parameters", "chain", "network", "readings"),
        *("gradient_check", "answer"),
    ),
    ("files",),
    ("training",),
    ("estimators",),
    ("models",),
    ("inspection",),
    ("lab",),
    ("cli",),
    ("__init__", "__main__"),
)
FOLDERS: dict[str, tuple[str, ...]] = {
    "maths": (
        *("activations", "heads", "labels", "likelihoods", "deviations", "losses", "jacobians", "kind", "affine"),
        *("normal", "columns", "layers", "net"),
        *("loops", "batches", "rounding", "differences", "checks", "__init__"),
    ),
    "optim": (
        *("ranges", "rate", "curves", "plateau", "schedules", "compact", "state", "descent", "adaptive", "rules"),
        *("adjusted", "table", "__init__"),
    ),
    "data": (
        *("idx", "weights", "batches", "target_columns", "arrays", "sparse_files", "tables", "pixels", "ink", "images"),
        *("shown", "photos", "registries", "named", "folders", "dataset", "readers", "sources", "__init__"),
    ),
    "layers": ("base", "affine", "normal", "columns", "table", "__init__"),
    "engine": (
        *("activations", "heads", "losses", "sparse", "updates", "masks", "steps", "columns", "program", "reference"),
        *("blas", "_native", "native", "choose", "__init__"),
    ),
    "files": ("container", "model", "bundle", "__init__"),
    "estimators": (
        *("mlp_losses", "mlp_network", "mlp_solvers", "mlp_progress", "mlp_validation", "mlp_fit", "mlp_lbfgs"),
        *("mlp_targets", "mlp_bundle", "mlp_base", "mlp_classifier", "mlp_regressor"),
        *("answers", "calibration", "table_features", "table_recipe", "table_network", "table_training", "table_time"),
        *("intervals", "tabular_base", "tabular", "photos", "cross_validation", "tuning", "__init__"),
    ),
    "training": (
        "history",
        "callbacks",
        "savepoint",
        "loop",
        "quasi_newton",
        "standard",
        "task",
        "recipe_inputs",
        "recipe",
        "__init__",
    ),
    "inspection": (
        *("formulas", "norms", "subject", "steps", "opened", "trace_text", "trace"),
        *(
            "intervals",
            "outcomes",
            "judged",
            "rows",
            "importance",
            "reproduce",
            "pictures",
            "plots",
            "report_page",
            "reports",
        ),
        "__init__",
    ),
    "lab": (
        *("extra", "guards", "endpoints", "pages", "server", "openapi", "table_rows", "predictor", "planes", "shelf"),
        *("broadcast", "pictures", "curve", "runs", "drawing", "mistakes", "matrices", "desk", "app", "__init__"),
    ),
    "cli": (
        *("terminal", "opening", "options", "keeping", "tables", "photos", "estimator", "report", "lab", "train_table"),
        *("train_progress", "train_network", "train", "evaluate", "predict", "cv", "tune", "check", "trace", "data"),
        *("info", "serve"),
        "__init__",
    ),
}
# The only imports allowed inside a function: heavy libraries loaded at first use, and the commands.
LAZY: frozenset[str] = frozenset(
    {
        *("narwhals", "scipy", "sklearn", "threadpoolctl", "PIL", "matplotlib", "rich", "safetensors", "urllib"),
        *("pyarrow", "optuna"),
    }
)
LAZY_FILES: frozenset[str] = frozenset({"cli/__init__.py", "__init__.py"})
NEVER = (("maths", "engine"), ("engine", "maths"))  # the reference cannot borrow from what it judges


def files() -> list[Path]:
    """All sources, and the stub that stands for the compiled module."""
    return sorted([*SRC.rglob("*.py"), *SRC.rglob("*.pyi")])


def level_of(part: str) -> int:
    return next(i for i, names in enumerate(LEVELS) if part in names)


def parts_of(path: Path) -> tuple[str, ...]:
    return path.relative_to(SRC).with_suffix("").parts


def imported(path: Path) -> list[tuple[ast.stmt, str, bool]]:
    """Every import of a file: the node, the absolute module, and whether it stands inside a function."""
    tree = ast.parse(path.read_text())
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node, alias.name, id(node) in inside) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = ["layerloop", *parts_of(path)][:-1]
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found += [(node, resolve(module, alias.name), id(node) in inside) for alias in node.names]
    return found


def resolve(module: str, name: str) -> str:
    """`from layerloop.optim import rules` names a module, `from layerloop.errors import look_up` does not."""
    folder = SRC.parent / Path(*module.split("."))
    return f"{module}.{name}" if (folder / f"{name}.py").exists() or (folder / name).is_dir() else module


def breach(source: tuple[str, ...], target: tuple[str, ...]) -> bool:
    """Whether the file `source` may not import the module `target` (both without the package's name)."""
    if source[0] == target[0] and len(source) > 1:
        order = FOLDERS[source[0]]
        inner = target[1] if len(target) > 1 else "__init__"
        return order.index(inner) >= order.index(source[1])
    if level_of(source[0]) == level_of(target[0]) and source[0] not in FOLDERS and target[0] not in FOLDERS:
        order = LEVELS[level_of(source[0])]
        return order.index(target[0]) >= order.index(source[0])
    return level_of(target[0]) >= level_of(source[0])


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(SRC)))
def test_imports_go_down_only(path: Path) -> None:
    source = parts_of(path)
    for node, module, _ in imported(path):
        if not module.startswith("layerloop"):
            continue
        target = tuple(module.split(".")[1:]) or ("__init__",)
        assert not breach(source, target), f"{path.name}:{node.lineno} imports {module}, which is not below it"


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(SRC)))
def test_imports_inside_functions_are_on_the_list(path: Path) -> None:
    name = path.relative_to(SRC).as_posix()
    for node, module, inside in imported(path):
        if inside and name not in LAZY_FILES:
            assert module.split(".")[0] in LAZY, f"{name}:{node.lineno} hides the import of {module}"


def test_every_file_has_its_place() -> None:
    named = {name for names in LEVELS for name in names}
    for path in files():
        source = parts_of(path)
        assert source[0] in named, f"{path} has no level"
        if len(source) > 1:
            assert source[1] in FOLDERS[source[0]], f"{path} has no place in its folder"
            assert len(source) == 2, f"{path} lies deeper than the house goes"


def test_every_place_has_its_file() -> None:
    found = {parts_of(path) for path in files()}
    missing = [f"{folder}/{name}" for folder, names in FOLDERS.items() for name in names if (folder, name) not in found]
    assert not missing


@pytest.mark.parametrize(("source", "target"), NEVER)
def test_reference_and_engine_do_not_know_each_other(source: str, target: str) -> None:
    for path in sorted((SRC / source).glob("*.py")):
        assert not any(module.startswith(f"layerloop.{target}") for _, module, _ in imported(path))


def test_the_judge_sees_a_breach() -> None:
    assert breach(("optim", "rules"), ("network",))
    assert breach(("maths", "heads"), ("maths", "loops"))
    assert breach(("maths", "loops"), ("data", "idx"))
    assert breach(("plan",), ("preprocessing",))
    assert not breach(("maths", "loops"), ("maths", "heads"))
    assert not breach(("network",), ("plan",))
    assert not breach(("preprocessing",), ("plan",))
    assert not breach(("errors",), ("version",))
