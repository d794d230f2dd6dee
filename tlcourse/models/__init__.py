"""Networks: two small ones, their heads, and the pretrained weights that come with the course."""
