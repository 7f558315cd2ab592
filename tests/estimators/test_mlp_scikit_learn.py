"""scikit-learn's own tests of its MLP, read from the installed package and run with one line changed: the import.

`PRIVATE` names the tests that reach for a method that only scikit-learn's classes have; each has its stand-in, a
test of the same fact through public names, in test_mlp_facts.py.
"""

from __future__ import annotations

import importlib.util
import types
from pathlib import Path

import pytest

IMPORT = "from sklearn.neural_network import MLPClassifier, MLPRegressor\n"
PRIVATE = {
    "test_gradient": "test_the_gradient_of_one_step_is_that_of_the_loss",  # _loss_grad_lbfgs and its buffers
}


def changed_module() -> types.ModuleType:
    """scikit-learn's test file as a module whose two names are ours."""
    found = importlib.util.find_spec("sklearn.neural_network.tests.test_mlp")
    assert found is not None
    assert found.origin is not None
    text = Path(found.origin).read_text(encoding="utf-8")
    assert text.count(IMPORT) == 1
    module = types.ModuleType("scikit_learns_test_mlp")
    changed = text.replace(IMPORT, "from layerloop import MLPClassifier, MLPRegressor\n")
    exec(compile(changed, found.origin, "exec"), module.__dict__)
    return module


THEIRS = changed_module()
globals().update(
    {name: value for name, value in vars(THEIRS).items() if name.startswith("test_") and name not in PRIVATE}
)
# Their suite lets warnings such as a ConvergenceWarning pass; ours makes errors of them.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(name="global_random_seed")
def _global_random_seed() -> int:
    return 42


def test_their_file_was_read_whole_and_only_what_is_named_is_left_out() -> None:
    theirs = {name for name in vars(THEIRS) if name.startswith("test_")}
    assert len(theirs) >= 40
    assert set(PRIVATE) <= theirs
    assert theirs - set(PRIVATE) <= set(globals())
    stand_ins = Path(__file__).with_name("test_mlp_facts.py").read_text(encoding="utf-8")
    assert all(f"def {name}(" in stand_ins for name in PRIVATE.values())
