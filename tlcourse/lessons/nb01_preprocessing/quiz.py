"""The quiz of notebook 01."""

from tlcourse.exercises.quiz import Option, Question, Quiz

quiz = Quiz(
    "01.quiz",
    (
        Question(
            "A detector of wrong labels flags 60 images, with a precision of 50 % and a recall of 65 %. About how many labels "
            "are wrong?",
            (
                Option("30", "That many of its findings are right. Recall says that it missed some."),
                Option(
                    "39", "That is 65 % of the findings. Recall is a share of what is there, not of what was found."
                ),
                Option(
                    "46", "Half of 60 are right findings: 30. They are 65 % of all, and 30 / 0.65 is 46.", right=True
                ),
                Option("92", "That is 60 / 0.65, as if every finding were right. Half of them are false alarms."),
            ),
        ),
        Question(
            "A colleague augments every image five times, saves the files, and splits them at random. What happens?",
            (
                Option(
                    "The test score is too high: changed copies of one image stand on both sides",
                    "The test asks about pictures that the network knows. Split first, then augment the training part only.",
                    right=True,
                ),
                Option(
                    "The test score is too low: augmented images are harder",
                    "Harder they may be, but for each of them a sibling was trained on, and that weighs more.",
                ),
                Option(
                    "Nothing: no file stands twice in the folder",
                    "No two files are equal, and still they show one picture. A check for exact copies would see nothing.",
                ),
                Option(
                    "Nothing, if the split is stratified",
                    "A stratified split keeps the shares of the classes. It does not know which files belong together.",
                ),
            ),
        ),
        Question(
            "You train a linear probe on a network that was trained with mean and deviation of ImageNet. Which numbers do you "
            "normalise your own images with?",
            (
                Option(
                    "Those of all your images",
                    "They fit your images and not the network, and held-out images had a say in them.",
                ),
                Option(
                    "Those of your training images",
                    "No held-out image had a say, which is good, but a frozen network goes on expecting the old numbers. In the "
                    "notebook that cost the probe about 3 points.",
                ),
                Option(
                    "None: batch normalisation makes up for it",
                    "Only where it may measure anew, as in fine-tuning. The frozen network of the probe keeps its old averages.",
                ),
                Option(
                    "Those of ImageNet",
                    "What was learned was learned for these numbers. Others may happen to do as well; you would have to measure.",
                    right=True,
                ),
            ),
        ),
        Question(
            "Pixels were chosen before the split, and a score rose above 50 % though the labels were coin flips. Why?",
            (
                Option(
                    "The classifier learned something about the images that the labels describe",
                    "Coins describe nothing. On new images the score would be 50 %.",
                ),
                Option(
                    "The choice had looked at the labels of the held-out images",
                    "Among thousands of pixels, some agree with any coins. Those were chosen, held-out coins included.",
                    right=True,
                ),
                Option(
                    "Twenty pixels are too few, so the score varies a lot",
                    "It varies, but around a mean that lies above 50 %. Chosen after the split, the mean lies where it should.",
                ),
                Option(
                    "The mean of all pixels was computed before the split",
                    "A mean looks at no label. We measured what it costs: next to nothing.",
                ),
            ),
        ),
        Question(
            "On a blog, CutMix gains 10 points from scratch with few labels. You fine-tune a pretrained network on few labels. "
            "What do you do?",
            (
                Option(
                    "Use it: what helps from scratch helps a better start too",
                    "Here it cost the fine-tuned network between 7 and 15 points, as did MixUp and cut-out.",
                ),
                Option(
                    "Leave it: it breaks the label, as a flip breaks a 2",
                    "It mixes the labels in the same shares as the pixels, so that promise is kept.",
                ),
                Option(
                    "Measure it with your start, your labels and your budget, on a validation part",
                    "What an augmentation is worth depends on the start and on the length of training.",
                    right=True,
                ),
                Option(
                    "Try it on the test half, and keep it if the score rises",
                    "A choice by the test half is one more thing that looked at held-out labels.",
                ),
            ),
        ),
    ),
)
