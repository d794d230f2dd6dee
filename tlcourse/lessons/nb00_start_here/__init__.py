"""Notebook 00: does transfer help me?"""
