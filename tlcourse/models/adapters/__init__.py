"""Few trainable weights beside a frozen network: LoRA, biases alone, bottlenecks, and the small file of a task."""
