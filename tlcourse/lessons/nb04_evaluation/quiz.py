"""The quiz of notebook 04."""

from tlcourse.exercises.quiz import Option, Question, Quiz

quiz = Quiz(
    "04.quiz",
    (
        Question(
            'A report says: "We trained our method with 12 learning rates. The best reached 91.2 % on the 500 test images, the '
            'baseline (default rate) 90.1 %. Our method is better." What would make this worth believing?',
            (
                Option(
                    "McNemar's test of these two networks on the 500 images",
                    "It would take the winner for a network that nobody chose. The best of 12 equal ones looks about 2 points "
                    "better by luck, with 500 images: more than the whole difference.",
                ),
                Option(
                    "5,000 test images in place of 500, with the same 12 rates",
                    "The winner's luck would shrink and not be gone: the choice still looks at the images that measure it. And "
                    "the baseline still had no search.",
                ),
                Option(
                    "The default rate for both methods, and again the 500 test images",
                    "Nothing is chosen then, but a default may suit one of them by chance, and one training each is one draw.",
                ),
                Option(
                    "The same search for both on validation images, then several seeds each and the paired difference on test",
                    "Three faults, three cures: the choice leaves the test images, both get the same budget, and the luck of "
                    "training gets an interval.",
                    right=True,
                ),
            ),
        ),
        Question(
            "A network flags suspicious moles for a doctor to look at, and must not miss any. Which number do you watch?",
            (
                Option(
                    "Accuracy",
                    "Suspicious moles are rare: a network that flags none of them is nearly always right.",
                ),
                Option(
                    "Recall of the suspicious ones",
                    "Of all that are suspicious, the share that is flagged. What is missing in it was missed.",
                    right=True,
                ),
                Option(
                    "Precision of the suspicious ones",
                    "Of all that are flagged, the share that is suspicious. When it is low, the doctor's time is spent; those "
                    "that were missed do not count in it.",
                ),
            ),
        ),
        Question(
            "A test set has 10,000 images by five people. Why is the Wilson interval too narrow, if you mean new people?",
            (
                Option(
                    "It takes images for independent, but those of one person succeed or fail together",
                    "There is the evidence of far fewer than 10,000 images: of only five, if all images of a person stood or "
                    "fell together.",
                    right=True,
                ),
                Option(
                    "It is made for few images",
                    "It works for any number of images, as long as they are independent of each other.",
                ),
                Option(
                    "It leaves out the luck of training",
                    "It does, as all intervals of a single network do. But new people would move the score of this very network.",
                ),
                Option(
                    "It is not: with 10,000 images it hardly has any width",
                    "That is what it says, and what is wrong with it: five hands are five draws, however much each has written.",
                ),
            ),
        ),
        Question(
            "With 13 seeds, a true difference of 2 points is seen four times in five. How many seeds does a difference of 1 point "
            "need?",
            (
                Option(
                    "About 18",
                    "That would shrink the interval to 0.85 of its width, and the difference is only half as large.",
                ),
                Option("About 26", "Twice the seeds shrink the interval to 0.7 of its width, and half is needed."),
                Option(
                    "About 50",
                    "The standard error falls with the square root of the number of seeds, so half the difference needs four "
                    "times the seeds.",
                    right=True,
                ),
            ),
        ),
        Question(
            "Somebody fits the temperature of scratch on the 50 images that trained it. What comes out?",
            (
                Option(
                    "About the same temperature as on validation",
                    "It would, if the network were as often right on new images as on those that it knows by heart.",
                ),
                Option(
                    "A very low one: the network gets even surer of itself",
                    "On images that it knows by heart it is always right and can never be too sure. On new ones, its error is "
                    "then larger than without any temperature.",
                    right=True,
                ),
                Option(
                    "A very high one, since it learned them by heart",
                    "That it learned by heart shows on new images only. On these 50 its confidence is well earned.",
                ),
                Option(
                    "1: the training has already made it as sure as it may be",
                    "The training stopped at some confidence below 100 %. With all answers right, surer is still better.",
                ),
            ),
        ),
    ),
)
