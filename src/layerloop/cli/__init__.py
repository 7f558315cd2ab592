"""The command `layerloop`: each sub-command's file is loaded when it is chosen, so that help answers at once."""

from __future__ import annotations

import argparse
import os
import re
import sys
from difflib import get_close_matches
from importlib import import_module
from textwrap import fill
from typing import TYPE_CHECKING, Any, NoReturn

from layerloop.errors import LayerloopError, short_of_memory
from layerloop.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# One row a command: what help says of it. Its module is `layerloop.cli.NAME` with `add_arguments` and `run`.
COMMANDS = {
    "train": "train a network on a data set and save it",
    "evaluate": "figures of a saved model on a data set",
    "predict": "what a saved model says of rows, images or a table",
    "cv": "how good the estimator for a table is, over folds",
    "tune": "search for settings of the estimator for a table",
    "check": "a model's gradient against finite differences",
    "trace": "every number of both loops on one sample",
    "report": "how good a model is and where it fails, as a page",
    "lab": "a page on this machine: train, draw, loops, mistakes",
    "serve": "answer with a saved model over HTTP, on this machine",
    "data": "list, fetch or show data sets",
    "info": "version, engine, threads, folders",
}
EXAMPLE = "example: layerloop train mnist"
# Options as other programs call them.
ELSEWHERE = {"--lr": "--rate", "--learning-rate": "--rate", "--hidden": "--layers", "--batchsize": "--batch-size"}
# What the library's errors advise, in the words of the command.
ADVICE = {
    "state target=NAME": "state --target NAME",
    "state target=FILE": "state --target FILE",
    "such as target=-1": "such as --target -1",
    "leave out target and kind": "leave out --target",
    "use kind='classes'": "train with --loss crossentropy",
    "use kind='values'": "train with --loss mse",
    "or data_dir": "or --data-dir",
}


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, with the nearest option or choice."""

    def error(self, message: str) -> NoReturn:
        """Print one line and leave with 2."""
        print(f"{self.prog}: {self._taught(message)}(see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(2)

    def _taught(self, message: str) -> str:
        """Return the message, a mistyped option or choice with what was likely meant."""
        option = re.match(r"unrecognized arguments: (--[^ =]+)", message)
        if option:
            near = _meant(ELSEWHERE.get(option[1], option[1]), re.findall(r"--[a-z-]+", self.format_usage()))
            return f"unknown option {option[1]}; {near}" if near else f"unknown option {option[1]} "
        choice = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message)
        near = _meant(choice[1], re.findall(r"\w+", choice[2])) if choice else ""
        return f"{message}; {near}" if near else f"{message} "


def _meant(wrong: str, known: Iterable[str]) -> str:
    near = get_close_matches(wrong, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]}? " if near else ""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0, 2 for an error that was said in one line, 130 or 143 after a signal."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(arguments)
    except LayerloopError as error:
        return _failed(_in_options(str(error)))
    except MemoryError as error:
        return _failed(short_of_memory(error))
    except KeyboardInterrupt as stop:
        _failed(" ".join(["stopped", *map(str, stop.args)]))
        return int(getattr(stop, "code", 130))  # SIGTERM has another
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has gone: nothing left to say
        return 0
    except OSError as error:
        return _failed(f"{error.strerror or error}")


def _failed(why: str) -> int:
    """Say in one line why; return 2."""
    print("layerloop: " + "; ".join(line.strip() for line in why.splitlines()), file=sys.stderr)
    return 2


def _in_options(message: str) -> str:
    """Return an error of the library with its advice in the words of the command."""
    for words, option in ADVICE.items():
        message = message.replace(words, option)
    return message


def _dispatch(arguments: list[str]) -> int:
    name = arguments[0] if arguments else ""
    if name in COMMANDS:
        return int(_module(name).run(parser_of(name).parse_args(arguments[1:])))
    if name and not name.startswith("-"):
        hint = _meant(name, COMMANDS).strip() or f"commands: {', '.join(COMMANDS)}"
        return _failed(f"unknown command {name!r}; {hint}")
    _top().parse_args(arguments)
    print(_top().format_help(), end="")
    return 0 if arguments else 2


def _module(name: str) -> Any:
    return import_module(f"layerloop.cli.{name}")


def parser_of(name: str) -> Parser:
    """Return the parser of one command; its help is what the documentation shows."""
    module = _module(name)
    parser = Parser(
        prog=f"layerloop {name}",
        description=_paragraphs(module.__doc__ or ""),
        epilog=module.EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    return parser


def _paragraphs(text: str) -> str:
    return "\n\n".join(fill(part, 79) for part in text.strip().split("\n\n"))


def _top() -> Parser:
    commands = "\n".join(f"  {name:10}{what}" for name, what in COMMANDS.items())
    parser = Parser(
        prog="layerloop",
        usage="layerloop [--version] COMMAND ...",
        description=f"Feedforward networks that train in a second and read like the notes.\n\ncommands:\n{commands}",
        epilog=f"{EXAMPLE}\nlayerloop COMMAND --help says more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"layerloop {__version__}")
    return parser
