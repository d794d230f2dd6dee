"""Notebook 09: can one model serve several tasks?"""

from tlcourse.lessons.nb09_many_tasks.directions import two_gradients
from tlcourse.lessons.nb09_many_tasks.figures import (
    cosines_figure,
    directions_figure,
    few_figure,
    letters_figure,
    sources_figure,
    tasks_figure,
    trunk_figure,
    ways_figure,
)
from tlcourse.lessons.nb09_many_tasks.lab import DirectionsLab
from tlcourse.lessons.nb09_many_tasks.sharing import changes
from tlcourse.lessons.nb09_many_tasks.ways import (
    EQUAL,
    RECIPE,
    SHORT,
    TASKS,
    new_network,
    normalised,
    test_images,
    training_images,
    trial,
)
from tlcourse.multitask.combining import Combined, jacobian
from tlcourse.multitask.losses import task_losses
from tlcourse.multitask.mgda import mgda
from tlcourse.multitask.pcgrad import in_drawn_order, pcgrad
from tlcourse.multitask.tasks import answers_to, in_its_own_unit, only, tasks_of
from tlcourse.multitask.training import learn_tasks
from tlcourse.multitask.upgrad import upgrad
from tlcourse.notebook.figures import budget_of
