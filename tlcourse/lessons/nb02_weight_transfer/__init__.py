"""Notebook 02: what exactly is carried over, and what is left behind?"""
