"""Networks: two small ones with pretrained weights that come with the course, torchvision's, and their heads."""
