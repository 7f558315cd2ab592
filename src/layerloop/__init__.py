"""layerloop: feedforward neural networks that train in a second and read like the notes.

    from layerloop import Adam, Chain, DataLoader, Dense, data, sigmoid, softmax, train

    X, y = data.load("mnist")
    m = Chain(Dense(28 * 28, 32, sigmoid), Dense(32, 10), softmax)
    train(m, DataLoader((X, y), batchsize=128), optimizer=Adam(1e-3), epochs=20)

Names are loaded at first use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerloop.lazy import lazily
from layerloop.version import __version__

if TYPE_CHECKING:
    from layerloop import data as data
    from layerloop import engine as engine
    from layerloop import errors as errors
    from layerloop import estimators as estimators
    from layerloop import files as files
    from layerloop import inspection as inspection
    from layerloop import lab as lab
    from layerloop import maths as maths
    from layerloop import optim as optim
    from layerloop import training as training
    from layerloop.chain import Chain as Chain
    from layerloop.chain import activations as activations
    from layerloop.chain import params as params
    from layerloop.data.batches import DataLoader as DataLoader
    from layerloop.data.batches import ncycle as ncycle
    from layerloop.estimators.cross_validation import cross_validate as cross_validate
    from layerloop.estimators.mlp_classifier import MLPClassifier as MLPClassifier
    from layerloop.estimators.mlp_regressor import MLPRegressor as MLPRegressor
    from layerloop.estimators.tabular import TabularClassifier as TabularClassifier
    from layerloop.estimators.tabular import TabularRegressor as TabularRegressor
    from layerloop.estimators.tuning import tune as tune
    from layerloop.gradient_check import check_gradient as check_gradient
    from layerloop.inspection.importance import gradient_importance as gradient_importance
    from layerloop.inspection.importance import permutation_importance as permutation_importance
    from layerloop.inspection.reports import report as report
    from layerloop.inspection.trace import trace as trace
    from layerloop.layers import BatchNorm as BatchNorm
    from layerloop.layers import Dense as Dense
    from layerloop.layers import Dropout as Dropout
    from layerloop.layers import Embedding as Embedding
    from layerloop.layers import LayerNorm as LayerNorm
    from layerloop.layers import Members as Members
    from layerloop.layers import Parametric as Parametric
    from layerloop.layers import Periodic as Periodic
    from layerloop.layers import PiecewiseLinear as PiecewiseLinear
    from layerloop.layers import Residual as Residual
    from layerloop.layers import Scale as Scale
    from layerloop.models import load as load
    from layerloop.models import save as save
    from layerloop.network import accuracy as accuracy
    from layerloop.network import evaluate as evaluate
    from layerloop.network import setup as setup
    from layerloop.network import update as update
    from layerloop.network import use_average as use_average
    from layerloop.network import value_and_gradient as value_and_gradient
    from layerloop.optim import AdaGrad as AdaGrad
    from layerloop.optim import Adam as Adam
    from layerloop.optim import AdamHat as AdamHat
    from layerloop.optim import AdamW as AdamW
    from layerloop.optim import Adjusted as Adjusted
    from layerloop.optim import Constant as Constant
    from layerloop.optim import Cosine as Cosine
    from layerloop.optim import CosLog4 as CosLog4
    from layerloop.optim import Descent as Descent
    from layerloop.optim import ExponentialDecay as ExponentialDecay
    from layerloop.optim import FlatCos as FlatCos
    from layerloop.optim import LazyAdam as LazyAdam
    from layerloop.optim import Lion as Lion
    from layerloop.optim import Momentum as Momentum
    from layerloop.optim import NAdam as NAdam
    from layerloop.optim import Nesterov as Nesterov
    from layerloop.optim import OneCycle as OneCycle
    from layerloop.optim import RAdam as RAdam
    from layerloop.optim import ReduceOnPlateau as ReduceOnPlateau
    from layerloop.optim import RMSProp as RMSProp
    from layerloop.optim import StepDecay as StepDecay
    from layerloop.optim import Warmup as Warmup
    from layerloop.parameters import Parameters as Parameters
    from layerloop.preprocessing import Inputs as Inputs
    from layerloop.preprocessing import standardised as standardised
    from layerloop.readings import classifier as classifier
    from layerloop.training import History as History
    from layerloop.training import Progress as Progress
    from layerloop.training import Steps as Steps
    from layerloop.training import Stop as Stop
    from layerloop.training import lbfgs as lbfgs
    from layerloop.training import read_history as read_history
    from layerloop.training import throttle as throttle
    from layerloop.training import train as train
    from layerloop.training import write_history as write_history
    from layerloop.vocabulary import binarycrossentropy as binarycrossentropy
    from layerloop.vocabulary import crossentropy as crossentropy
    from layerloop.vocabulary import elu as elu
    from layerloop.vocabulary import exp as exp
    from layerloop.vocabulary import gelu as gelu
    from layerloop.vocabulary import hard_sigmoid as hard_sigmoid
    from layerloop.vocabulary import huber as huber
    from layerloop.vocabulary import identity as identity
    from layerloop.vocabulary import leaky_relu as leaky_relu
    from layerloop.vocabulary import logitbinarycrossentropy as logitbinarycrossentropy
    from layerloop.vocabulary import logitcrossentropy as logitcrossentropy
    from layerloop.vocabulary import mae as mae
    from layerloop.vocabulary import mish as mish
    from layerloop.vocabulary import modified_softmax as modified_softmax
    from layerloop.vocabulary import mse as mse
    from layerloop.vocabulary import onecold as onecold
    from layerloop.vocabulary import onehot as onehot
    from layerloop.vocabulary import onehotbatch as onehotbatch
    from layerloop.vocabulary import poisson as poisson
    from layerloop.vocabulary import quantile as quantile
    from layerloop.vocabulary import relu as relu
    from layerloop.vocabulary import selu as selu
    from layerloop.vocabulary import sigmoid as sigmoid
    from layerloop.vocabulary import silu as silu
    from layerloop.vocabulary import softmax as softmax
    from layerloop.vocabulary import softplus as softplus
    from layerloop.vocabulary import tanh as tanh

# Where each public name lives; a subpackage stands for itself.
_HOME = {
    **dict.fromkeys(("data", "engine", "errors", "estimators", "files", "inspection", "lab"), ""),
    **dict.fromkeys(("maths", "optim", "training"), ""),
    **dict.fromkeys(("DataLoader", "ncycle"), "data.batches"),
    **dict.fromkeys(("load", "save"), "models"),
    **dict.fromkeys(("TabularClassifier", "TabularRegressor"), "estimators.tabular"),
    "MLPClassifier": "estimators.mlp_classifier",
    "MLPRegressor": "estimators.mlp_regressor",
    **dict.fromkeys(("Chain", "activations", "params"), "chain"),
    "Parameters": "parameters",
    **dict.fromkeys(("accuracy", "evaluate", "setup", "update", "use_average", "value_and_gradient"), "network"),
    **dict.fromkeys(("AdaGrad", "Adam", "AdamHat", "AdamW", "Descent", "Lion", "Momentum", "NAdam"), "optim"),
    **dict.fromkeys(("RAdam", "RMSProp", "Adjusted", "Constant", "CosLog4", "Cosine", "ExponentialDecay"), "optim"),
    **dict.fromkeys(("FlatCos", "LazyAdam", "Nesterov", "OneCycle", "ReduceOnPlateau", "StepDecay", "Warmup"), "optim"),
    **dict.fromkeys(("BatchNorm", "Dense", "Dropout", "Embedding", "LayerNorm", "Members", "Parametric"), "layers"),
    **dict.fromkeys(("Periodic", "PiecewiseLinear", "Residual", "Scale"), "layers"),
    **dict.fromkeys(("binarycrossentropy", "logitbinarycrossentropy", "exp"), "vocabulary"),
    **dict.fromkeys(("mae", "huber", "quantile", "poisson"), "vocabulary"),
    "classifier": "readings",
    "cross_validate": "estimators.cross_validation",
    "tune": "estimators.tuning",
    "check_gradient": "gradient_check",
    **dict.fromkeys(("gradient_importance", "permutation_importance"), "inspection.importance"),
    "report": "inspection.reports",
    "trace": "inspection.trace",
    **dict.fromkeys(("Inputs", "standardised"), "preprocessing"),
    "lbfgs": "training",
    **dict.fromkeys(("History", "Progress", "Steps", "Stop", "read_history", "throttle"), "training"),
    **dict.fromkeys(("train", "write_history"), "training"),
    **dict.fromkeys(("crossentropy", "logitcrossentropy", "mse", "modified_softmax", "softmax"), "vocabulary"),
    **dict.fromkeys(("onecold", "onehot", "onehotbatch", "identity", "sigmoid", "tanh", "relu"), "vocabulary"),
    **dict.fromkeys(("leaky_relu", "elu", "selu", "gelu", "silu", "mish", "softplus", "hard_sigmoid"), "vocabulary"),
}


__getattr__ = lazily(__name__, _HOME)


def __dir__() -> list[str]:
    return [*_HOME, "__version__"]


__all__ = ["__version__", *_HOME]
