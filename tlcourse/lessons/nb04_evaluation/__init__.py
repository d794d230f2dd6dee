"""Notebook 04: how sure am I?"""
