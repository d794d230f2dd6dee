"""Running other people's code: in a process of its own, with limits on time and memory, with or without a fence."""
