"""Images: the worlds of the course, how they are drawn, kept, batched and augmented."""
