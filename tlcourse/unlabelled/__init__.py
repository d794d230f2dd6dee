"""Learning from images without labels: before there is a label, beside a few labels, and while answering."""
