"""The course beside what a learner would pick instead: the same work, by each as its own documentation does it.

`make bench` runs it all. `python -m benchmarks.peers --help` runs parts, with the packages of the extra `bench`.
"""
