"""Notebook 03: how do I train what I carried over?"""
