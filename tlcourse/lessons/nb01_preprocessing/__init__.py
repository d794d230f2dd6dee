"""Notebook 01: what must happen to images before a pretrained model sees them?"""
