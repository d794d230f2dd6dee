"""The quiz of notebook 02."""

from tlcourse.exercises.quiz import Option, Question, Quiz

quiz = Quiz(
    "02.quiz",
    (
        Question(
            "What is in a state dict besides the learned weights?",
            (
                Option(
                    "The code of the network",
                    "There is no code in it: whoever loads it must build the network first.",
                ),
                Option(
                    "Nothing",
                    "Then a network with batch normalisation would forget what it measured each time it is saved.",
                ),
                Option(
                    "Measured numbers: for batch normalisation the running mean, the running variance and a count of "
                    "batches",
                    "They are called buffers. No gradient touches them, and they belong to what the network knows.",
                    right=True,
                ),
                Option(
                    "The names of the classes",
                    "A head for 35 letters has 35 rows, and nothing in the file says which row is which letter.",
                ),
            ),
        ),
        Question(
            "A colleague loads weights with `strict=False`. There is no error, and after training the accuracy is poor. "
            "What do you look at first?",
            (
                Option(
                    "The missing and unexpected names that `load_state_dict` returned",
                    "If the names did not agree, not one tensor was loaded, and nothing else says so.",
                    right=True,
                ),
                Option(
                    "The learning rate",
                    "It may be wrong as well. But first find out whether there was a transfer at all; it takes one line.",
                ),
                Option(
                    "The shapes of the tensors",
                    "A wrong shape stops PyTorch with an error, with `strict=False` too. What passes in silence is something "
                    "else.",
                ),
                Option(
                    "The number of labels",
                    "More labels would hide the trouble, and cost more than a look at what was loaded.",
                ),
            ),
        ),
        Question(
            "Why are the colour weights of the first convolution *summed* for grey images, and not averaged?",
            (
                Option(
                    "A sum keeps the edges, an average blurs them",
                    "Sum and average differ by a factor of three and in nothing else: both have the same edges.",
                ),
                Option(
                    "A sum is larger, and large scores are better",
                    "No size is better by itself. The layers behind expect one certain size: which?",
                ),
                Option(
                    "Training goes faster from larger weights",
                    "This is about the output before any training: it should be the one that the next layer knows.",
                ),
                Option(
                    "A convolution adds up its channels, so three equal channels contribute the sum",
                    "With the average, the output would be a third of what the next layers expect.",
                    right=True,
                ),
            ),
        ),
        Question(
            "In the layer-transfer curve, what is the sign that stages are *specific* to their old task?",
            (
                Option(
                    '"own, frozen" ends below the base network',
                    "These stages come from the same task, so they cannot know too much about another. That would be the sign "
                    "of co-adaptation: the cut tore apart what had learned to work together.",
                ),
                Option(
                    '"other, frozen" ends below "own, frozen", and more so the deeper the cut',
                    "Both are cut at the same place and frozen alike; only the task that the stages come from differs.",
                    right=True,
                ),
                Option(
                    '"other, fine-tuned" ends above "other, frozen"',
                    "That says that training mends something. It does not say what was wrong with the stages before.",
                ),
                Option(
                    "Both fine-tuned lines end above the base network",
                    "Here, that comes from the longer training: stages of the own task gain as much as those of another.",
                ),
            ),
        ),
        Question(
            "You freeze a layer by setting its gradient to *zero* before every step. Is it safe?",
            (
                Option(
                    "Yes: a step is rate times gradient, and that is zero",
                    "For plain gradient descent, yes. What else do optimisers add to a step?",
                ),
                Option(
                    "Yes, as long as the network is in evaluation mode",
                    "The mode concerns the statistics of batch normalisation. The optimiser does not ask for it.",
                ),
                Option(
                    "No: momentum goes on in its old direction, and weight decay pulls towards zero",
                    "The optimiser still visits the weight. It skips a weight only where the gradient is `None`.",
                    right=True,
                ),
                Option(
                    "No: a zero gradient is rounded, and the errors add up",
                    "Zero is exact, and so is zero times a rate. The weight moves for another reason, and much further.",
                ),
            ),
        ),
    ),
)
