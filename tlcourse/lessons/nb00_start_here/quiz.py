"""The quiz of notebook 00."""

from tlcourse.exercises.quiz import Option, Question, Quiz

quiz = Quiz(
    "00.quiz",
    (
        Question(
            "Which part of the network is *not* carried over when the classes change?",
            (
                Option(
                    "The first layers",
                    "They see edges and strokes, which letters and digits share: they are worth the most to carry over.",
                ),
                Option(
                    "The head",
                    "Its shape depends on the number of classes, and its weights stand for the old ones.",
                    right=True,
                ),
                Option(
                    "The running averages of batch normalisation",
                    "They belong to the weights before them, have the same shape, and are carried over with them.",
                ),
                Option(
                    "Nothing: all weights are carried over",
                    "Then the network would go on answering with 35 letters.",
                ),
            ),
        ),
        Question(
            "A colleague reports 98 % after fine-tuning, measured on the images used for training. What do you ask for?",
            (
                Option("A longer training", "It would raise a number that says nothing about new images."),
                Option("The loss beside the accuracy", "On the same images it says nothing about new ones either."),
                Option(
                    "The accuracy on new images, beside scratch with the same budget, over several seeds",
                    "Only new images show what was learned, only scratch shows what transfer added, and only seeds show "
                    "how much of it is luck.",
                    right=True,
                ),
                Option("The same number with another seed", "Another seed would remember its training images too."),
            ),
        ),
        Question(
            "Why does each seed use the same labelled images for all three starts?",
            (
                Option(
                    "The luck of the choice is then the same for all and drops out of the difference",
                    "Pairs take out what both share, so the interval of the difference is narrower.",
                    right=True,
                ),
                Option("It saves time", "Drawing 50 images takes no time; the reason is the comparison."),
                Option("The networks then learn the same", "They start differently, and end differently."),
                Option("It raises all accuracies", "It makes no run better; it makes their difference clearer."),
            ),
        ),
        Question(
            'What does "negative transfer" mean, and where did you see it?',
            (
                Option(
                    "The loss becomes negative, with few labels",
                    "A cross-entropy loss is never negative, at any number.",
                ),
                Option(
                    "A source makes the result worse than none: the linear probe with 50 labels per class",
                    "With 50 labels, the frozen backbone holds back: scratch learns better features by itself.",
                    right=True,
                ),
                Option(
                    "Transfer helps less with more labels: fine-tuning with 50 labels per class",
                    "Helping less is still helping. Negative transfer is below scratch.",
                ),
                Option(
                    "The source is forgotten while the target is learned",
                    "That is catastrophic forgetting; it says nothing about the target.",
                ),
            ),
        ),
    ),
)
