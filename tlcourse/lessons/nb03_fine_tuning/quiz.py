"""The quiz of notebook 03."""

from tlcourse.exercises.quiz import Option, Question, Quiz

quiz = Quiz(
    "03.quiz",
    (
        Question(
            "The gradient of cross-entropy with respect to the scores of an image is $(p - q)/N$. For which image is it "
            "largest?",
            (
                Option(
                    "One that the network is sure of, and right",
                    "There, what was said is what was wanted: the difference is almost 0.",
                ),
                Option(
                    "One where all classes have the same probability",
                    "With ten classes, the right one is then pulled by 0.9/N and each other one by 0.1/N. Another image of this list "
                    "is pulled harder, and on two scores at once.",
                ),
                Option(
                    "One that the network is sure of, and wrong",
                    "There, the right class has a p near 0 where 1 was wanted: its entry is near 1/N, the largest there "
                    "can be. The squared error behind a softmax is almost flat at that very place.",
                    right=True,
                ),
                Option(
                    "It has the same size for all images",
                    "Its entries sum to 0 for every image, but their size depends on how wrong the answer is.",
                ),
            ),
        ),
        Question(
            "Why can a linear probe do without a learning rate?",
            (
                Option(
                    "On fixed features its loss has one minimum, and L-BFGS chooses the length of each step itself",
                    "It guesses the curvature from the last few gradients, and the place where it ends does not depend on "
                    "how it got there.",
                    right=True,
                ),
                Option(
                    "It has so few weights that every rate works",
                    "It has 1,290, and a rate that is too large would make them jump to and fro all the same.",
                ),
                Option(
                    "Its rate is that of the pretraining",
                    "The features come from the pretraining; the head is found anew, without any rate.",
                ),
            ),
        ),
        Question(
            "The range test of plain gradient descent turns upwards at a rate about 100 times as large as that of AdamW, for "
            "the same network and images. Why?",
            (
                Option(
                    "Gradient descent is the more robust rule, so it stands larger steps",
                    "Its steps are not larger. Compare how far a single weight moves, not the two rates.",
                ),
                Option(
                    "The first test left the network damaged",
                    "A range test puts weights, statistics and the memory of the optimiser back as they were.",
                ),
                Option(
                    "AdamW also shrinks the weights, so it needs a smaller rate",
                    "At a rate of 0.01, weight decay takes a ten-thousandth off a weight at each step: too little to be the reason.",
                ),
                Option(
                    "Adam divides the size of the gradients away; gradient descent multiplies the rate by gradients far below 1",
                    "A step of Adam has about the length of the rate. A rate says nothing without the name of its optimiser.",
                    right=True,
                ),
            ),
        ),
        Question(
            "A colleague freezes the backbone, makes an optimiser over the parameters that can move, and frees the backbone "
            "after three epochs in a loop of their own. What happens?",
            (
                Option(
                    "The backbone is trained from the fourth epoch on",
                    "It has gradients then, but nobody uses them: an optimiser moves the tensors it was given.",
                ),
                Option(
                    "The backbone never moves, and PyTorch says nothing",
                    "The optimiser holds the head alone. Put all parameters in from the start; `tl.fit` refuses an optimiser "
                    "that misses one which is to move.",
                    right=True,
                ),
                Option(
                    "PyTorch raises an error at the fourth epoch",
                    "No rule of PyTorch is broken, so there is none. That is what makes this fault expensive.",
                ),
                Option(
                    "The head forgets what it has learned",
                    "The head is in the optimiser and goes on as before.",
                ),
            ),
        ),
        Question(
            "You have 5 labels per class, may lose about 2 points on the target against the best strategy, and need a network "
            "that still reads most letters. Which strategy of the table do you take?",
            (
                Option(
                    "Plain fine-tuning",
                    "It is among the best on the target, but it has lost about 40 points of the letters.",
                ),
                Option(
                    "Gradual unfreezing",
                    "It is within a point of the best on the target, and still reads almost 90 % of the letters.",
                    right=True,
                ),
                Option(
                    "The linear probe",
                    "It forgets nothing, but it is about 12 points behind on the target.",
                ),
                Option(
                    "Label smoothing, with the rate that it has in the table",
                    "On the target it is among the best. Of the letters it reads hardly more than 10 %.",
                ),
            ),
        ),
    ),
)
