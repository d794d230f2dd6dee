"""Notebook 12: how do I do it with my own photographs?"""
