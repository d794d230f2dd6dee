"""The quiz of notebook 12."""

from tlcourse.exercises.quiz import Option, Question, Quiz

quiz = Quiz(
    "12.quiz",
    (
        Question(
            "The report finds that `kiwi/7.jpg` is a copy of `kiwi/3.jpg`. Why is only one of them used?",
            (
                Option(
                    "Two copies would make the training twice as slow",
                    "One photograph more or less is not felt. The harm is in the measuring.",
                ),
                Option(
                    "One could land in the test and the other in the training, and the test would ask for what was "
                    "learned",
                    "A network remembers what it has seen, so a copy in the test flatters it.",
                    right=True,
                ),
                Option(
                    "A network cannot learn from the same photograph twice",
                    "It does so in every epoch.",
                ),
                Option(
                    "Copies are always of bad quality",
                    "A copy is as good as the first; it only tells nothing new.",
                ),
            ),
        ),
        Question(
            "A friend uses your classifier with another library, which reads pictures as blue, green, red. What "
            "happens?",
            (
                Option("An error says that the channels are wrong", "The shape is the same, and nothing is checked."),
                Option("The pictures are refused as too blue", "No network looks at that. It takes any numbers."),
                Option(
                    "It answers, worse than it could, and nothing says so",
                    "Right shape, wrong meaning: only photographs with known answers show it.",
                    right=True,
                ),
                Option(
                    "Nothing: networks are trained to ignore colours", "Where colour tells classes apart, they use it."
                ),
            ),
        ),
        Question(
            "On your photographs the linear probe gets 64 % and fine-tuning 92 %. What does that tell you?",
            (
                Option(
                    "The old features do not tell your classes apart well, and moving them helps: your photographs "
                    "are far from the source",
                    "A probe can only weigh what is there. Where that is not enough, features have to move.",
                    right=True,
                ),
                Option(
                    "The probe was trained for too short a time",
                    "A probe is solved exactly: more time changes nothing.",
                ),
                Option(
                    "The test photographs are among those that were fine-tuned on",
                    "That would be a reason to look, but the same division serves both.",
                ),
                Option(
                    "The pretrained weights were useless",
                    "Then a start from scratch would do as well. Compare with that before you say so.",
                ),
            ),
        ),
        Question(
            "Your 50 test photographs are all answered rightly. What do you write on the card?",
            (
                Option("Accuracy 100 %", "50 of 50 can well happen to a classifier that is right in 95 of 100 cases."),
                Option(
                    "Accuracy 100 % [92.9, 100], on 50 photographs that were taken as the training photographs were",
                    "The interval says what 50 photographs can tell, the words what they cannot.",
                    right=True,
                ),
                Option("Accuracy at least 99 %", "50 photographs cannot show that: it would take some hundreds."),
                Option(
                    "Nothing: 50 photographs are too few to say anything", "They say that 80 % is out of the question."
                ),
            ),
        ),
        Question(
            "Somebody shows your classifier of ten fruits a photograph of a bicycle. What does it say?",
            (
                Option("That it does not know", "It has no score for that, only ten for fruits."),
                Option("All ten fruits with 10 % each", "Nothing makes the scores equal for what it has never seen."),
                Option("An error, since bicycles were not trained", "Any picture gives ten scores."),
                Option(
                    "One of the ten fruits, perhaps with a high probability",
                    "The probabilities are shared among its own classes, whatever it sees. The card should say so.",
                    right=True,
                ),
            ),
        ),
    ),
)
