"""The tables in `results/`: what computes each from seeds, and with how many it was computed."""

from tlcourse.lessons.nb09_many_tasks.handwriting import beside_letters, letters_longer
from tlcourse.lessons.nb09_many_tasks.interference import interference
from tlcourse.lessons.nb09_many_tasks.sharing import few_answers
from tlcourse.lessons.nb09_many_tasks.transfer import sources
from tlcourse.lessons.nb09_many_tasks.ways import cost, ways, ways_longer, ways_settings

TABLES = {
    "ways": (ways, 5),
    "ways_settings": (ways_settings, 1),
    "ways_longer": (ways_longer, 3),
    "ways_cost": (cost, 3),
    "few_answers": (few_answers, 3),
    "beside_letters": (beside_letters, 5),
    "letters_longer": (letters_longer, 3),
    "interference": (interference, 3),
    "task_sources": (sources, 3),
}
