"""Where an answer comes from: the learner's notebook, or a file that was handed in. A check asks both the same way."""

import atexit
import copyreg
import functools
import importlib
import linecache
import types
from collections.abc import Iterator
from typing import Protocol

import cloudpickle
import torch

from tlcourse.exercises.card import Outcome, Verdict, verdict
from tlcourse.exercises.runner.encoding import listed
from tlcourse.exercises.runner.process import START_SECONDS, TRAINING, Limits, Reply, Sandbox

# An answer with `torch` and `images.classes` in it seems to cloudpickle to use `torch.classes`, which is a module and
# yet none that can be copied; so the copy imports it.
for _module in (torch.classes, torch.ops):
    copyreg.pickle(type(_module), lambda module: (importlib.import_module, (module.__name__,)))


class Answer(Protocol):
    """What a check may do with an answer: look at it, and call it with copies of arguments in a process of its own."""

    def value(self) -> Reply: ...

    def call(self, arguments: tuple, finisher: str | None = None, more: tuple = ()) -> Reply: ...

    def anew(self) -> None:
        """Forget what earlier calls left behind: the next one meets the answer as it was written."""


class KernelAnswer:
    """An answer in the learner's own notebook; a function is copied into a sandbox with all it refers to."""

    def __init__(self, answer: object, limits: Limits) -> None:
        self.answer, self.limits = answer, limits
        self._loaded = False

    def value(self) -> Reply:
        return Reply(_read(self.answer) if isinstance(self.answer, Iterator) else self.answer)

    def anew(self) -> None:
        self._loaded = False

    def call(self, arguments: tuple, finisher: str | None = None, more: tuple = ()) -> Reply:
        if not callable(self.answer):
            return _refused("TypeError", f"your answer is of type {type(self.answer).__name__}. Expected a function.")
        box = kernel_sandbox()
        box.limits = self.limits
        if not self._loaded:
            if box.starts_quickly:
                box.renew()  # whatever the answer before it did to PyTorch is gone
            try:
                pickled = cloudpickle.dumps(self.answer)
            except Exception as error:  # cloudpickle raises what the object's own pickling raises
                message = f"it uses something that cannot be copied into a process of its own ({error})"
                return _refused(type(error).__name__, message)
            loaded = box.ask("load", START_SECONDS, pickled=pickled)  # imports what the answer uses
            if loaded.error:
                return loaded
            self._loaded = True
        reply = box.ask("call", arguments=arguments, finisher=finisher, more=more)
        self._loaded = not stopped(reply)
        return reply


def _refused(kind: str, message: str) -> Reply:
    return Reply(error={"type": kind, "message": message, "frames": []})


@functools.lru_cache(maxsize=32)
def _read(iterator: Iterator) -> object:
    """Read what gives its values once: the learner may ask for the check of it twice."""
    return listed(iterator)


@functools.cache
def kernel_sandbox() -> Sandbox:
    """The sandbox of this notebook: started at the first check that needs it, gone with the kernel."""
    box = Sandbox(later=TRAINING)
    atexit.register(box.close)
    return box


def stopped(reply: Reply) -> bool:
    """Say whether the process that ran an answer had to be ended, or ended itself."""
    return reply.error is not None and reply.error["type"] in ("TimeLimit", "MemoryLimit", "ProcessLimit", "Died")


def error_verdict(reply: Reply, source: str | None = None) -> Verdict:
    """Return ERROR with the answer's own lines; `source` is None for code that was typed into this kernel."""
    error = reply.error
    lines = [_line(*frame, source) for frame in error["frames"]]
    message = {
        "TimeLimit": f"your code did not come to an end: {error['message']}. Is there a loop that never stops? "
        "If not, this computer may be busy: check once more.",
        "MemoryLimit": f"your code was stopped: {error['message']}. What grows without need?",
        "ProcessLimit": f"your code was stopped: {error['message']}. What does it start again and again?",
        "MemoryError": "your code asked for more memory than it may have. What grows without need?",
        "Died": f"{error['message']}. Does it call exit?",
        "EncodingError": f"your code gives what the check cannot read: {error['message']}",
        "SystemExit": "your code calls exit, which would end the whole program. Let it return a value.",
    }.get(error["type"], f"{error['type']}: {error['message']}")
    details = [("where", "\n".join(lines))] if lines else []
    return verdict(Outcome.ERROR, message, [*details, *printed(reply)])


def printed(reply: Reply) -> list[tuple[str, str]]:
    """What the answer printed, as a detail of a card, if it printed anything."""
    text = reply.printed.strip()
    return [("printed", text if len(text) <= 500 else text[:499] + "…")] if text else []


def _line(filename: str, number: int, function: str, source: str | None) -> str:
    lines = source.split("\n") if source else linecache.getlines(filename)
    text = lines[number - 1].strip() if 0 < number <= len(lines) else ""
    place = f"line {number}" + (f" in {function}" if function != "<module>" else "")
    return f"{place}: {text}" if text else place


def same_code(left: object, right: object) -> bool:
    """Say whether two functions were compiled from the same text, comments and layout aside."""
    codes = [getattr(function, "__code__", None) for function in (left, right)]
    return None not in codes and _same(*codes)


def _same(left: types.CodeType, right: types.CodeType) -> bool:
    if (left.co_code, left.co_names, left.co_varnames) != (right.co_code, right.co_names, right.co_varnames):
        return False
    if len(left.co_consts) != len(right.co_consts):
        return False
    pairs = zip(left.co_consts, right.co_consts, strict=True)
    return all(
        _same(a, b) if isinstance(a, types.CodeType) and isinstance(b, types.CodeType) else repr(a) == repr(b)
        for a, b in pairs
    )
