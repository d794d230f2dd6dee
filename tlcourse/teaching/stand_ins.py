"""What answers find in place of the exercises: names that take every call and do nothing."""

from tlcourse.lessons.registry import solution_modules


def stand_ins() -> str:
    """Return code that gives `ex`, `guess` and what notebooks have besides, all of them silent.

    An answer cell may hold `ex.q1.check(...)`, or import `ex` once more; that is no reason to fail it.
    """
    modules = ["tlcourse.exercises", *solution_modules()]
    return SILENT + f"\nfor _module in {modules!r}:\n    _sys.modules[_module] = ex\ndel _module, _sys, _StandIn\n"


SILENT = '''
import sys as _sys


class _StandIn:
    """Takes every call and does nothing."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *arguments, **named):
        return self

    def __repr__(self):
        return ""


_StandIn.__name__ = _StandIn.__qualname__ = "StandIn"
ex = guess = display = get_ipython = _StandIn()
'''
